//go:build linux

package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

// A disk is a file system on a sparse file, which a test breaks and mends.
type disk struct {
	image, at string
	below     *disk // what the file is on, where that is another of the test's
}

var onExt4 = backing{"ext4", []string{"mkfs.ext4", "-q", "-m", "0", "-e", "remount-ro"}}

// newDisk makes a file system on a file of this size, and mounts it.
func newDisk(t *testing.T, on backing, size int64, image, at string) *disk {
	t.Helper()
	d := &disk{image: image, at: at}
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, size))
	sh(t, on.mkfs[0], append(on.mkfs[1:], image)...)
	require.NoError(t, os.MkdirAll(at, 0o755))
	d.mount(t)
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) }) // a test that fails may have done it
	return d
}

// inMemory is a directory for disks: a loop device on a real disk would wait for that
// at each fsync.
func inMemory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // some tests change the user
	require.NoError(t, unix.Mount("none", dir, "tmpfs", 0, "mode=755"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }) // busy until the loop devices are gone
	return dir
}

func (d *disk) mount(t *testing.T) {
	t.Helper()
	sh(t, "mount", "-o", "loop", d.image, d.at)
}

// unmount unmounts, which the kernel refuses while anybody has a file open there.
func (d *disk) unmount(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return unix.Unmount(d.at, 0) == nil }, cliPatience, 10*time.Millisecond, "%s stays busy", d.at)
}

// A struckLoad is a load on a volume "vm" whose disk the test breaks, while another
// is on a volume "beside", which lies elsewhere. One daemon serves both.
type struckLoad struct {
	*load
	beside      *load
	disk        *disk
	held        [2]*os.File // an image that was opened before the fault, behind the mount and on it
	descriptors []string    // that the daemon has while nothing is open
}

func newStruckLoad(t *testing.T, newDisk func(base, at string) *disk) *struckLoad {
	t.Helper()
	base := inMemory(t)
	source := base + "/source"
	s := &struckLoad{load: &load{source: source}, beside: &load{source: source}}
	s.disk = newDisk(base, source+"/vm")
	for i := range crashWriters {
		s.add(t, "vm", fmt.Sprintf("disk-%d.vdi", i))
	}
	s.beside.add(t, "beside", "disk.vdi")
	s.load.mount = daemon.Start(t, source, t.TempDir())
	s.beside.mount = s.load.mount
	s.descriptors = awaitWatching(t, s.load.mount.PID())
	return s
}

// strike lets a fault happen under all writers. Each on "vm" must end with one of
// these errors, and none beside.
//
// What counts as acknowledged is what was so before the fault. An fsync(2) that is
// under way while a file system aborts its journal may succeed without a cause:
// that of ext4, XFS and Btrfs does now and then, on a plain directory too.
func (s *struckLoad) strike(t *testing.T, fault func(), errors ...error) {
	t.Helper()
	s.hold(t)
	s.start(t)
	s.beside.start(t)
	s.await(t, 1+rand.Int64N(10))
	before := s.acknowledged()
	fault()
	ended := make(chan struct{})
	go func() { s.running.Wait(); close(ended) }()
	within(t, ended)
	for i, w := range s.writers {
		require.True(t, isOneOf(w.err, errors), "%s: %v", w.image, w.err)
		w.acked.Store(before[i])
	}
	s.beside.goOn(t)
	s.beside.halt()
	s.beside.checkErrors(t)
	s.beside.check(t)
}

// acknowledged is how many records of each writer have been acknowledged.
func (s *struckLoad) acknowledged() (records []int64) {
	for _, w := range s.writers {
		records = append(records, w.acked.Load())
	}
	return records
}

// hold opens the first image on both sides, until release.
func (s *struckLoad) hold(t *testing.T) {
	t.Helper()
	for i, path := range []string{s.stored(s.writers[0]), s.presented(s.writers[0])} {
		var err error
		s.held[i], err = os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.held[i].Close() }) // it may be closed already
	}
}

func (s *struckLoad) release(t *testing.T) {
	t.Helper()
	for _, f := range s.held {
		require.NoError(t, f.Close())
	}
}

// requireSound requires that the volume is written to again, and that the daemon
// has nothing open of all that was before.
func (s *struckLoad) requireSound(t *testing.T) {
	t.Helper()
	s.start(t)
	s.goOn(t)
	s.halt()
	s.checkErrors(t)
	s.check(t)
	requireNothingLeftOpen(t, s.load.mount.PID(), s.descriptors, len(s.writers)+len(s.beside.writers))
}

// requireAnswersOfDisk requires that a broken file system says on the mount what it
// says behind it. Which of the fault's errors a call gets can depend on what the
// kernel still has in memory.
func (s *struckLoad) requireAnswersOfDisk(t *testing.T, faults ...error) {
	t.Helper()
	same := func(call string, behind, mounted error) {
		if !isOneOf(behind, faults) || !isOneOf(mounted, faults) {
			require.Equal(t, outcome(behind), outcome(mounted), call)
		}
	}
	for _, call := range callsOnFile {
		same(call.name, call.do(s.held[0]), call.do(s.held[1]))
	}
	s.release(t)
	for _, call := range callsOnVolume {
		same(call.name, call.do(s.disk.at), call.do(filepath.Join(s.load.mount.Dir, "vm")))
	}
}
