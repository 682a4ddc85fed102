package dir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// aclNames are the extended attributes that a new file may get from the default
// access control list of the directory that it is made in.
var aclNames = []string{"system.posix_acl_access", "system.posix_acl_default"}

// copyAttributes gives an object what another one has besides its content. The
// order matters: a new owner takes away capabilities and set-user-ID bits, and
// who is not root cannot set extended attributes of what is read-only.
func copyAttributes(to, from *os.File, s *unix.Stat_t) error {
	mode, err := copyOwner(fd(to), s)
	if err != nil {
		return &os.PathError{Op: "chown", Path: to.Name(), Err: err}
	}
	if err := copyXattrs(to, from); err != nil {
		return err
	}
	if s.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := chmodInode(fd(to), mode); err != nil {
			return &os.PathError{Op: "chmod", Path: to.Name(), Err: err}
		}
	}
	if err := setTimes(fd(to), []unix.Timespec{s.Atim, s.Mtim}); err != nil {
		return &os.PathError{Op: "utimensat", Path: to.Name(), Err: err}
	}
	return nil
}

// copyOwner sets owner and group and returns the mode to set. Only root can
// give something away: for others it is theirs, and then without the bits that
// lend the owner's or the group's rights.
func copyOwner(to int, s *unix.Stat_t) (mode uint32, err error) {
	mode = permissions(s)
	err = chownInode(to, int(s.Uid), int(s.Gid))
	if err == nil || os.Geteuid() == 0 || !errors.Is(err, unix.EPERM) {
		return mode, err
	}
	if chownInode(to, -1, int(s.Gid)) != nil {
		mode &^= unix.S_ISGID
	}
	return mode &^ unix.S_ISUID, nil
}

// copyXattrs gives an object the extended attributes of another one.
func copyXattrs(to, from *os.File) error {
	names, err := listXattrs(from)
	if err != nil {
		return &os.PathError{Op: "listxattr", Path: from.Name(), Err: err}
	}
	for _, inherited := range aclNames {
		if !slices.Contains(names, inherited) {
			_ = removexattr(fd(to), inherited) // it has none, or cannot have one
		}
	}
	for _, name := range names {
		if name == privilegedMark || name == ownMark {
			continue // of another clone
		}
		if err := copyXattr(to, from, name); err != nil {
			return fmt.Errorf("copy extended attribute %s of %s: %w", name, from.Name(), err)
		}
	}
	return nil
}

func copyXattr(to, from *os.File, name string) error {
	value, err := readXattr(from, name)
	if err != nil {
		return err
	}
	err = setxattr(fd(to), name, value, 0)
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 && !strings.HasPrefix(name, "user.") {
		return nil // only root sets it
	}
	return err
}

// listXattrs returns no names where there are no extended attributes.
func listXattrs(file *os.File) ([]string, error) {
	list, err := readAll(func(dest []byte) (int, error) { return listxattr(fd(file), dest) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return strings.Split(string(bytes.TrimSuffix(list, []byte{0})), "\x00"), nil
}

func readXattr(file *os.File, name string) ([]byte, error) {
	return readAll(func(dest []byte) (int, error) { return getxattr(fd(file), name, dest) })
}

// readAll calls a system call that fails with ERANGE if there is more than it
// was given room for.
func readAll(call func(dest []byte) (int, error)) ([]byte, error) {
	const most = 1 << 16 // XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h
	for size := 256; ; size *= 4 {
		dest := make([]byte, size)
		n, err := call(dest)
		if errors.Is(err, unix.ERANGE) && size < most {
			continue
		}
		return dest[:max(n, 0)], err
	}
}
