//go:build linux

package vbox

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mountInto mounts into the chroot what VirtualBox needs, and the directory of
// temporary files under the same path as outside. That one is mounted shared, so
// that a file system that a test mounts below it is seen in the chroot as well.
func mountInto(root string) error {
	if err := mountAll(root, append(systemMounts(), driverlessMount(root))...); err != nil {
		return err
	}
	return shareInto(root, os.TempDir())
}

// systemMounts are what every program needs, and an empty /tmp.
func systemMounts() []mount {
	return []mount{
		{source: "proc", fstype: "proc", target: "/proc"},
		{source: "/dev", target: "/dev", flags: unix.MS_BIND | unix.MS_REC},
		{source: "sysfs", fstype: "sysfs", target: "/sys"},
		{source: "tmpfs", fstype: "tmpfs", target: "/tmp"},
		{source: "tmpfs", fstype: "tmpfs", target: "/run"},
	}
}

// driverlessMount is what VBoxSVC starts as VBoxHeadless; see setup.sh.
func driverlessMount(root string) mount {
	return mount{
		source: filepath.Join(root, "/usr/lib/vbox-driverless/wrapper"),
		target: "/usr/lib/virtualbox/VBoxHeadless",
		flags:  unix.MS_BIND,
	}
}

// shareInto makes dir a shared mount and binds it below root.
func shareInto(root, dir string) error {
	if err := (mount{source: dir, target: dir, flags: unix.MS_BIND}).in("/"); err != nil {
		return err
	}
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make %s shared: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
		return err
	}
	return mount{source: dir, target: dir, flags: unix.MS_BIND}.in(root)
}

// A mount is what mount(2) is told.
type mount struct {
	source, fstype, target string
	flags                  uintptr
}

// mountAll mounts with targets below root, in this order.
func mountAll(root string, mounts ...mount) error {
	for _, m := range mounts {
		if err := m.in(root); err != nil {
			return err
		}
	}
	return nil
}

// in mounts m with its target below root.
func (m mount) in(root string) error {
	target := filepath.Join(root, m.target)
	if err := unix.Mount(m.source, target, m.fstype, m.flags, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", m.source, target, err)
	}
	return nil
}
