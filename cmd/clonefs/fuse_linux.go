package main

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// fuseSystem is what a mount needs of the machine.
type fuseSystem struct {
	device, config string
	uid            int
	lookPath       func(string) (string, error)
}

func newFuseSystem() fuseSystem {
	return fuseSystem{device: "/dev/fuse", config: "/etc/fuse.conf", uid: os.Geteuid(), lookPath: exec.LookPath}
}

// check says what is missing for a mount, in terms of what to do about it.
func (s fuseSystem) check(allowOther bool) error {
	if err := s.checkDevice(); err != nil || s.uid == 0 {
		return err
	}
	if _, err := s.lookPath("fusermount3"); err != nil {
		return fmt.Errorf("fusermount3 is not installed, and without it only root can mount: install the package fuse3, or use sudo")
	}
	if allowOther && !s.userAllowOther() {
		return fmt.Errorf("--allow-other is for root only, unless %s has the line user_allow_other: let the administrator add it, or do without --allow-other", s.config)
	}
	return nil
}

func (s fuseSystem) checkDevice() error {
	err := unix.Access(s.device, unix.R_OK|unix.W_OK)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return fmt.Errorf("there is no %s: load the kernel's module with `modprobe fuse`; a container needs `--device %s --cap-add SYS_ADMIN`", s.device, s.device)
	case errors.Is(err, iofs.ErrPermission):
		return fmt.Errorf("%s may not be opened by this user: `chmod 666 %s` as root, as most systems have it, or use sudo", s.device, s.device)
	case err != nil:
		return fmt.Errorf("open %s: %w", s.device, err)
	}
	return nil
}

// userAllowOther says whether fusermount3 lets users use allow_other; the
// line stands by itself in fuse.conf, see mount.fuse3(8).
func (s fuseSystem) userAllowOther() bool {
	config, err := os.ReadFile(s.config)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(config)) {
		if strings.TrimSpace(line) == "user_allow_other" {
			return true
		}
	}
	return false
}

// explainMount says what to do about an error of the mount itself.
func explainMount(err error) error {
	if errors.Is(err, iofs.ErrPermission) && os.Geteuid() == 0 {
		return fmt.Errorf("%w: root may not mount here; a container needs `--cap-add SYS_ADMIN`", err)
	}
	return err
}

// redirectStandardError lets go of the terminal: what is still written to
// standard error, a panic of the runtime above all, goes to file.
func redirectStandardError(file *os.File) error {
	return os.NewSyscallError("dup3", unix.Dup3(int(file.Fd()), int(os.Stderr.Fd()), 0))
}
