package handover

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// place is the path of the socket of whoever serves the mount with a device number,
// which no other mount has while it lives.
func place(device uint64) (string, error) {
	dir, err := ownDirectory()
	if err != nil {
		return "", fmt.Errorf("a directory for sockets: %w", err)
	}
	return filepath.Join(dir, fmt.Sprintf("mount-%d-%d", unix.Major(device), unix.Minor(device))), nil
}

// ownDirectory returns a directory that only this user can enter.
func ownDirectory() (string, error) {
	var err error
	for _, dir := range candidates() {
		if err = makeOwn(dir); err == nil {
			return dir, nil
		}
	}
	return "", err
}

func candidates() []string {
	if os.Geteuid() == 0 {
		return []string{"/run/clonefs"}
	}
	var dirs []string
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		dirs = append(dirs, filepath.Join(runtime, "clonefs"))
	}
	return append(dirs, filepath.Join(os.TempDir(), fmt.Sprintf("clonefs-%d", os.Geteuid())))
}

// makeOwn makes a directory, or sees that it is one that nobody else can use.
func makeOwn(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if !info.IsDir() || int(owner) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a directory of this user alone", dir)
	}
	return nil
}

// deviceOf returns the device number of the mount at a directory.
func deviceOf(mountpoint string) (uint64, error) {
	var s unix.Stat_t
	if err := unix.Stat(mountpoint, &s); err != nil {
		return 0, fmt.Errorf("stat %s: %w", mountpoint, err)
	}
	return s.Dev, nil
}

// peer returns the process at the other end of a socket, which must be this user's
// or root's.
func peer(socket int) (pid int, err error) {
	credentials, err := unix.GetsockoptUcred(socket, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, os.NewSyscallError("getsockopt", err)
	}
	if credentials.Uid != 0 && int(credentials.Uid) != os.Geteuid() {
		return 0, fmt.Errorf("process %d is user %d's: %w", credentials.Pid, credentials.Uid, syscall.EPERM)
	}
	return int(credentials.Pid), nil
}
