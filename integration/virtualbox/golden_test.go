//go:build linux

package virtualbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// The golden images, each a directory that becomes a clone's content.
const (
	dynamic  = "dynamic"  // disk.vdi by VBoxManage createmedium, FAT formatted
	fixed    = "fixed"    // the same with --variant Fixed
	snapshot = "snapshot" // base.vdi, and child.vdi by VBoxManage snapshot take
	byQemu   = "qemu"     // disk.vdi by qemu-img create, partly written
	guest    = "guest"    // disk.vdi that boots; see package vbox
)

// The names of the images in them.
const (
	disk  = "disk.vdi"
	base  = "base.vdi"
	child = "child.vdi"
)

// images lists the images of each golden directory, parents first.
var images = map[string][]string{
	dynamic:  {disk},
	fixed:    {disk},
	snapshot: {base, child},
	byQemu:   {disk},
	guest:    {disk},
}

var goldens struct {
	once sync.Once
	dir  string
	ok   bool
}

// goldenFile returns the path of a golden image. The first call makes them all.
func goldenFile(t testing.TB, golden, image string) string {
	t.Helper()
	goldens.once.Do(func() { makeGoldens(t) })
	require.True(t, goldens.ok, "the golden images could not be made, see the first failure")
	return filepath.Join(goldens.dir, golden, image)
}

func makeGoldens(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "golden-")
	require.NoError(t, err)
	for golden := range images {
		require.NoError(t, os.Mkdir(filepath.Join(dir, golden), 0o755))
	}
	vb := virtualBox(t)
	t.Logf("golden images made by VirtualBox %s and qemu-img", vb.Version())
	makeDisk(vb, filepath.Join(dir, dynamic, disk), "16", "Standard")
	makeDisk(vb, filepath.Join(dir, fixed, disk), "4", "Fixed")
	makeSnapshot(t, vb, filepath.Join(dir, snapshot))
	makeByQemu(t, filepath.Join(dir, byQemu, disk))
	makeGuest(t, vb, filepath.Join(dir, guest, disk))
	vb.StopServer()
	goldens.dir, goldens.ok = dir, true
}

// makeDisk makes a formatted image of this many MiB, and forgets it.
func makeDisk(vb *vbox.Session, path, size, variant string) {
	vb.Manage("createmedium", "disk", "--filename", path, "--size", size, "--format", "VDI", "--variant", variant)
	vb.Manage("mediumio", "--disk", path, "formatfat", "--quick")
	vb.Manage("closemedium", "disk", path)
}

// makeSnapshot has a VM take a snapshot, so that its disk becomes the base of a
// differencing image in the same directory. The FAT is in the child, the bytes
// at 8 MiB are in the base.
func makeSnapshot(t testing.TB, vb *vbox.Session, dir string) {
	t.Helper()
	path := filepath.Join(dir, base)
	vb.Manage("createmedium", "disk", "--filename", path, "--size", "16", "--format", "VDI")
	run(t, "qemu-io", "-f", "vdi", "-c", "write -q -P 0xbb 8M 64k", path)
	vm := vb.NewMachine("golden", vbox.SATA)
	vm.Set("--snapshot-folder", dir)
	vm.Attach(path)
	vb.Manage("snapshot", vm.Name, "take", "installed")
	children, err := filepath.Glob(filepath.Join(dir, "{*}.vdi"))
	require.NoError(t, err)
	require.Len(t, children, 1)
	vb.Manage("mediumio", "--disk", children[0], "formatfat", "--quick")
	vb.Manage("unregistervm", vm.Name)
	require.NoError(t, os.Rename(children[0], filepath.Join(dir, child)))
}

func makeByQemu(t testing.TB, path string) {
	t.Helper()
	run(t, "qemu-img", "create", "-q", "-f", "vdi", path, "16M")
	run(t, "qemu-io", "-f", "vdi", "-c", "write -q -P 0xab 1M 64k", path)
}

func makeGuest(t testing.TB, vb *vbox.Session, path string) {
	t.Helper()
	raw := filepath.Join(t.TempDir(), "guest.raw")
	require.NoError(t, vbox.WriteGuestDisk(raw, 8<<20))
	vb.Manage("convertfromraw", raw, path, "--format", "VDI")
}

// run runs a command, which must succeed, and returns what it printed.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v: %s", cmd, out)
	return string(out)
}
