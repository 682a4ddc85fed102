package main

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// fuseSystem is what a mount needs of the machine.
type fuseSystem struct {
	device, helper string
	uid            int
	userMount      func() (uint32, error)
}

func newFuseSystem() fuseSystem {
	return fuseSystem{
		device: "/dev/fuse", helper: "/sbin/mount_fusefs", uid: os.Geteuid(),
		userMount: func() (uint32, error) { return unix.SysctlUint32("vfs.usermount") },
	}
}

// check says what is missing for a mount, in terms of what to do about it.
func (s fuseSystem) check(bool) error {
	err := unix.Access(s.device, unix.R_OK|unix.W_OK)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return fmt.Errorf("there is no %s: load the kernel's module with `kldload fusefs`: %w", s.device, err)
	case errors.Is(err, iofs.ErrPermission):
		return fmt.Errorf("%s may not be opened by this user: join the group operator, or use root: %w", s.device, err)
	case err != nil:
		return fmt.Errorf("open %s: %w", s.device, err)
	}
	if _, err := os.Stat(s.helper); err != nil {
		return fmt.Errorf("%s, which mounts FUSE file systems, is missing: %w", s.helper, err)
	}
	if allowed, err := s.userMount(); s.uid != 0 && (err != nil || allowed == 0) {
		return fmt.Errorf("only root may mount on this machine: `sysctl vfs.usermount=1` lets users mount on directories of their own")
	}
	return nil
}

func explainMount(err error) error { return err }

// redirectStandardError lets go of the terminal: what is still written to
// standard error, a panic of the runtime above all, goes to file.
func redirectStandardError(file *os.File) error {
	return os.NewSyscallError("dup2", unix.Dup2(int(file.Fd()), int(os.Stderr.Fd())))
}
