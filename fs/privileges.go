package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A file loses setuid and setgid when an unprivileged client changes it. The
// kernel leaves that to us (CAP_HANDLE_KILLPRIV_V2), because otherwise it would
// ask for an attribute before each write of any file; and the backing file
// system does not see to it, because the daemon is root. File capabilities go
// by themselves, at our write to the backing file.

// withoutPrivileges is the mode that a file has after a change by an
// unprivileged client, as in the kernel's setattr_should_drop_suidgid: no
// setuid, and setgid only where it does not concern execution and the client
// is in the file's group.
func withoutPrivileges(mode, gid uint32, caller *fuse.Caller) uint32 {
	mode &^= unix.S_ISUID
	if mode&unix.S_ISGID != 0 && (mode&unix.S_IXGRP != 0 || !inGroup(caller, gid)) {
		mode &^= unix.S_ISGID
	}
	return mode
}

// dropPrivileges takes setuid and setgid off the file for the requests in which the
// kernel does not say who is privileged: then root is.
func (f *file) dropPrivileges(caller *fuse.Caller) error {
	if caller.Uid == 0 {
		return nil
	}
	return dropPrivileges(f.fd, caller)
}

func dropPrivileges(fd int, caller *fuse.Caller) error {
	s, err := statAt(fd, "")
	if err != nil {
		return err
	}
	mode := withoutPrivileges(s.attr.Mode, s.attr.Gid, caller)
	if mode == s.attr.Mode {
		return nil
	}
	return chmodInode(fd, mode&0o7777)
}

// dropSetgid takes setgid off the node's file.
func (n *node) dropSetgid() syscall.Errno {
	err := n.change(func(fd int) error {
		s, err := statAt(fd, "")
		if err != nil || s.attr.Mode&unix.S_ISGID == 0 {
			return err
		}
		return chmodInode(fd, s.attr.Mode&0o7777&^unix.S_ISGID)
	})
	return n.mirror.errno("setxattr", n, err)
}
