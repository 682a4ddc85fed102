package fs

import (
	"bytes"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Getxattr reads an extended attribute into dest and returns its size; with
// dest too short that is ERANGE.
func (n *node) Getxattr(name string, dest []byte) (uint32, syscall.Errno) {
	if n.hasSetMode() && strings.HasPrefix(name, accessControlLists) {
		return 0, n.mirror.errno("getxattr", n, errNoXattr)
	}
	return n.xattr("getxattr", errNoXattr, func(fd int) (int, error) {
		size, err := getxattr(fd, name, dest)
		if err == unix.EOPNOTSUPP && strings.HasPrefix(name, accessControlLists) {
			err = errNoXattr
		}
		return size, err
	})
}

// accessControlLists begins the names of the attributes that access control lists
// are in. A file system without such lists (on ZFS, acltype=off is what there is
// without asking) has no list for any file: with EOPNOTSUPP the kernel, which
// asks in order to check permissions, would let in nobody but root.
const accessControlLists = "system.posix_acl_"

// Listxattr reads the names of all extended attributes, each with a zero byte.
// Those of trusted processes are for root only, as most file systems have it.
func (n *node) Listxattr(caller *fuse.Caller, dest []byte) (uint32, syscall.Errno) {
	return n.xattr("listxattr", nil, func(fd int) (int, error) {
		if caller.Uid != 0 {
			return listUntrusted(fd, dest)
		}
		return listxattr(fd, dest)
	})
}

// listUntrusted lists extended attributes without those of trusted processes.
func listUntrusted(fd int, dest []byte) (int, error) {
	const limit = 64 << 10 // XATTR_LIST_MAX of linux/limits.h
	all := make([]byte, limit)
	size, err := listxattr(fd, all)
	if err != nil {
		return 0, err
	}
	var names []byte
	for name := range bytes.SplitAfterSeq(all[:size], []byte{0}) {
		if !bytes.HasPrefix(name, []byte("trusted.")) {
			names = append(names, name...)
		}
	}
	if len(dest) > 0 && len(names) > len(dest) {
		return 0, syscall.ERANGE
	}
	copy(dest, names)
	return len(names), nil
}

// xattr reads something of a node's extended attributes; a node without a
// volume has none, which is missing, nor has what is only glanced at.
func (n *node) xattr(operation string, missing error, read func(fd int) (int, error)) (uint32, syscall.Errno) {
	vol := n.volume()
	if vol == nil || n.isAutomount() && vol.unentered() && asksBeforeRefusal {
		return 0, n.mirror.errno(operation, n, missing)
	}
	var size int
	err := n.with(vol, func(fd int) (err error) {
		size, err = retry2(func() (int, error) { return read(fd) })
		return err
	})
	return uint32(max(size, 0)), n.mirror.errno(operation, n, err)
}

// Setxattr writes an extended attribute, with the flags of setxattr(2).
func (n *node) Setxattr(name string, data []byte, flags uint32) syscall.Errno {
	err := n.mayChangeXattr(name)
	if err == nil {
		err = n.change(func(fd int) error { return setxattr(fd, name, data, int(flags)) })
	}
	return n.mirror.errno("setxattr", n, err)
}

// Removexattr removes an extended attribute.
func (n *node) Removexattr(name string) syscall.Errno {
	err := n.mayChangeXattr(name)
	if err == nil {
		err = n.change(func(fd int) error { return removexattr(fd, name) })
	}
	return n.mirror.errno("removexattr", n, err)
}

// mayChangeXattr refuses what the kernel has left to us to check. The attributes
// that begin with "system." are, like access control lists, rules of the backing
// file system; the kernel knows only the POSIX ones and who may change those. And
// who owns the top by an option does not own the directory behind it.
func (n *node) mayChangeXattr(name string) error {
	switch {
	case n.hasSetMode():
		return errTop
	case strings.HasPrefix(name, "system.") && !strings.HasPrefix(name, accessControlLists):
		return syscall.EOPNOTSUPP
	}
	return nil
}

// hasSetMode tells whether this is the top and shows an owner and a mode that were
// set when it was mounted.
func (n *node) hasSetMode() bool { return n.isTop() && n.mirror.options.Top != nil }
