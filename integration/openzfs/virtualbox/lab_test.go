//go:build linux

package virtualbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// A lab is a ZFS pool of its own with a golden image and clones of it, a mount of
// the clones, and a VirtualBox with an empty registry.
type lab struct {
	t  testing.TB
	vb *vbox.Session

	driverless bool
	pool       string
	file       string // the pool's
	dir        string // where the pool's file systems are mounted
	mountpoint string // where clonefs presents the clones
	log        string // the daemon's
}

const (
	poolSize = 1 << 30 // the most that the pool can hold; its file is sparse
	disk     = "disk.vdi"
)

func newLab(t *testing.T) *lab {
	t.Helper()
	// OpenZFS opens the file in a thread of the kernel's, which does not see what
	// is mounted in the tests' namespace only, as virtualBox does.
	dir, err := os.MkdirTemp("", "pool-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	inst := virtualBox(t)
	top := t.TempDir()
	l := &lab{
		t:          t,
		driverless: inst.Driverless(),
		pool:       "clonefs-test-" + uuid.NewString()[:8],
		file:       filepath.Join(dir, "file"),
		dir:        filepath.Join(top, "pool"),
		mountpoint: filepath.Join(top, "mnt"),
		log:        filepath.Join(top, "log"),
	}
	require.NoError(t, os.Mkdir(l.mountpoint, 0o755))
	l.makePool()
	t.Cleanup(l.end)
	l.vb = inst.NewSession(t)
	return l
}

// makePool makes the pool, with nothing in it but two empty file systems.
func (l *lab) makePool() {
	l.t.Helper()
	require.NoError(l.t, os.WriteFile(l.file, nil, 0o600))
	require.NoError(l.t, os.Truncate(l.file, poolSize))
	run(l.t, "zpool", "create", "-o", "cachefile=none", "-O", "mountpoint="+l.dir, "-O", "compression=lz4", l.pool, l.file)
	run(l.t, "zfs", "create", l.pool+"/golden")
	run(l.t, "zfs", "create", l.pool+"/ci")
}

// end unmounts and destroys what there is, also after a failure, and shows the
// daemon's log where the test failed.
func (l *lab) end() {
	if log, _ := os.ReadFile(l.log); l.t.Failed() {
		l.t.Logf("the daemon's log:\n%s", log)
	}
	_ = exec.Command("clonefs", "unmount", l.mountpoint).Run()
	_ = exec.Command("zpool", "destroy", "-f", l.pool).Run()
}

// step runs a part of a test that builds on the parts before it. If it fails,
// the parts after it do not run.
func (l *lab) step(t *testing.T, name string, f func(l *lab)) {
	t.Helper()
	ok := t.Run(name, func(t *testing.T) {
		part := *l
		part.t, part.vb = t, l.vb.On(t)
		f(&part)
	})
	if !ok {
		t.FailNow()
	}
}

// mount mounts the clones.
func (l *lab) mount() {
	l.t.Helper()
	run(l.t, "clonefs", "mount", "--log-file="+l.log, "zfs:"+l.pool+"/ci", l.mountpoint)
}

// remount ends clonefs and mounts the clones again.
func (l *lab) remount() {
	l.t.Helper()
	run(l.t, "clonefs", "unmount", l.mountpoint)
	l.mount()
}

// reimport exports the pool, with the clones mounted, and imports it again.
func (l *lab) reimport() {
	l.t.Helper()
	// The kernel tells a FUSE file system of a file's last close only after
	// close(2) has returned.
	require.EventuallyWithT(l.t, func(t *assert.CollectT) {
		out, err := exec.Command("zpool", "export", l.pool).CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}, 20*time.Second, 200*time.Millisecond)
	run(l.t, "zpool", "import", "-o", "cachefile=none", "-d", filepath.Dir(l.file), l.pool)
}

// golden is the golden image's path.
func (l *lab) golden() string { return filepath.Join(l.dir, "golden", disk) }

// stored is the path of a clone's image in the clone.
func (l *lab) stored(clone string) string { return filepath.Join(l.dir, "ci", clone, disk) }

// presented is the path of a clone's image on the mount.
func (l *lab) presented(clone string) string { return filepath.Join(l.mountpoint, clone, disk) }

// clones are the names of the clones.
var clones = func() (names []string) {
	for i := range 10 {
		names = append(names, fmt.Sprintf("job-%d", i+1))
	}
	return names
}()

// run runs a program, which must succeed, and returns its output.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v: %s", cmd, out)
	return string(out)
}
