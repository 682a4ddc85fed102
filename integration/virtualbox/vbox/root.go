//go:build linux

package vbox

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// InRoot returns the VirtualBox in a Debian root that Chroot has made, for tests
// that mount ZFS, in a virtual machine that has VirtualBox's kernel module.
//
// From here on temporary files, and what is mounted among them, lie in the root's
// /tmp, and have one path for programs in and outside of it. Sharing mounts with
// the root, as for other tests, would mount each ZFS file system twice, and zpool
// export then fails: it unmounts both, of which the second is gone with the first.
func InRoot(root string) (Installation, error) {
	top := os.TempDir()
	inst := Installation{root: filepath.Join(top, "root"), programs: "/usr/lib/virtualbox"}
	temporary := filepath.Join(top, "temporary")
	for _, dir := range []string{inst.root, temporary} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return Installation{}, err
		}
	}
	mounts := append([]mount{{source: root, flags: unix.MS_BIND}}, systemMounts()...)
	mounts = append(mounts, mount{source: temporary, target: "/tmp", flags: unix.MS_BIND})
	if err := mountAll(inst.root, mounts...); err != nil {
		return Installation{}, err
	}
	if err := aliasRoot(inst.root); err != nil {
		return Installation{}, fmt.Errorf("cannot prepare %s: %w", root, err)
	}
	return inst, os.Setenv("TMPDIR", filepath.Join(inst.root, "tmp"))
}

// aliasRoot makes the path of a root lead to it also within it.
func aliasRoot(root string) error {
	within := filepath.Join(root, root)
	if err := os.MkdirAll(filepath.Dir(within), 0o755); err != nil {
		return err
	}
	return os.Symlink("/", within)
}
