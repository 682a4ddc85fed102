//go:build linux

package integration

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/integration/faulty"
)

// A faultyMount is a mount of three volumes with an image in each: "vm" and
// "beside" lie on a file system whose calls the test sees and fails, "sound" on
// a plain directory.
type faultyMount struct {
	lower *faulty.FS
	dir   string
}

func mountOverFaulty(t *testing.T) *faultyMount {
	t.Helper()
	m := &faultyMount{lower: faulty.Mount(t)}
	source, mountpoint := mountVolumes(t, fs.Options{}, "sound")
	for _, name := range []string{"vm", "beside"} {
		require.NoError(t, os.Mkdir(filepath.Join(m.lower.Backing, name), 0o755))
		require.NoError(t, os.WriteFile(m.stored(name), realHeader(t), 0o600))
		source.set(fs.Volume{Name: name, Dir: filepath.Join(m.lower.Dir, name), Identity: "zfs:" + name})
	}
	m.dir = mountpoint
	return m
}

// path is the path of a file in the volume "vm" on the mount.
func (m *faultyMount) path(name string) string { return filepath.Join(m.dir, "vm", name) }

// stored is the path of a volume's image where nothing fails.
func (m *faultyMount) stored(volume string) string {
	return filepath.Join(m.lower.Backing, volume, "disk.vdi")
}

// open opens a file of the volume "vm" for the time of the test.
func (m *faultyMount) open(t *testing.T, name string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(m.path(name), flags, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() }) // the test may have closed it
	return f
}

// fail fails one kind of call, about what is in the volume "vm".
func (m *faultyMount) fail(op faulty.Op, errno syscall.Errno) {
	m.lower.Set(func(c faulty.Call) syscall.Errno {
		if c.Op == op && filepath.Dir(c.Path) == "vm" {
			return errno
		}
		return 0
	})
}

// within is what comes out of a channel, and soon.
func within[T any](t *testing.T, c <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-c:
	case <-time.After(cliPatience):
		require.FailNow(t, "nothing came")
	}
	return value
}
