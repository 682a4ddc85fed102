//go:build linux

package virtualbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/openzfs/pool"
	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// A lab is a ZFS pool of its own with a golden image and clones of it, a mount of
// the clones, and a VirtualBox with an empty registry.
type lab struct {
	*pool.Pool
	vb *vbox.Session

	mountpoint string // where clonefs presents the clones
	log        string // the daemon's
}

const disk = "disk.vdi"

// newLab makes a lab with nothing in its pool but two empty file systems.
func newLab(t *testing.T) *lab {
	t.Helper()
	inst, err := virtualBox()
	require.NoError(t, err)
	top := t.TempDir()
	l := &lab{Pool: pool.New(t), mountpoint: filepath.Join(top, "mnt"), log: filepath.Join(top, "log")}
	l.ZFS("create", l.Dataset("golden"))
	l.ZFS("create", l.Dataset("ci"))
	require.NoError(t, os.Mkdir(l.mountpoint, 0o755))
	t.Cleanup(l.end)
	l.vb = inst.NewSession(t)
	return l
}

// end unmounts, also after a failure, and shows the daemon's log where the test
// failed.
func (l *lab) end() {
	if log, _ := os.ReadFile(l.log); l.T.Failed() {
		l.T.Logf("the daemon's log:\n%s", log)
	}
	_ = exec.Command("clonefs", "unmount", l.mountpoint).Run()
}

// step runs a part of a test that builds on the parts before it. If it fails,
// the parts after it do not run.
func (l *lab) step(t *testing.T, name string, f func(l *lab)) {
	t.Helper()
	ok := t.Run(name, func(t *testing.T) {
		part := *l
		part.Pool, part.vb = l.On(t), l.vb.On(t)
		f(&part)
	})
	if !ok {
		t.FailNow()
	}
}

// mount mounts the clones.
func (l *lab) mount(flags ...string) {
	l.T.Helper()
	args := append([]string{"mount", "--log-file=" + l.log}, flags...)
	l.Run("clonefs", append(args, "zfs:"+l.Dataset("ci"), l.mountpoint)...)
}

// remount ends clonefs and mounts the clones again.
func (l *lab) remount() {
	l.T.Helper()
	l.Run("clonefs", "unmount", l.mountpoint)
	l.mount()
}

// reimport exports the pool, with the clones mounted, and imports it again.
func (l *lab) reimport() {
	l.T.Helper()
	l.Eventually("zpool", "export", l.Name)
	l.Import()
}

// golden is the golden image's path.
func (l *lab) golden() string { return filepath.Join(l.Dir, "golden", disk) }

// stored is the path of a clone's image in the clone.
func (l *lab) stored(clone string) string { return filepath.Join(l.Dir, "ci", clone, disk) }

// presented is the path of a volume's image on the mount.
func (l *lab) presented(volume string) string { return filepath.Join(l.mountpoint, volume, disk) }

// clones are the names of the clones.
var clones = func() (names []string) {
	for i := range 10 {
		names = append(names, fmt.Sprintf("job-%d", i+1))
	}
	return names
}()
