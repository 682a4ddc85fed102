package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A file loses setuid and setgid when an unprivileged client changes it. The
// kernel leaves that to us (CAP_HANDLE_KILLPRIV_V2), because otherwise it would
// ask for an attribute before each write of any file; and the backing file
// system does not see to it, because the daemon is root. File capabilities go
// by themselves, at our write to the backing file.

// Writev takes setuid and setgid off a file before it is written to, if the
// kernel says that the client is not privileged, and passes on that the write
// must be stable.
func (r *raw) Writev(cancel <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	if in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0 {
		status := r.changeMode(cancel, &in.InHeader, in.Fh, true, func(attr *fuse.Attr) uint32 {
			return withoutPrivileges(attr.Mode, attr.Gid, &in.Caller)
		})
		if !status.Ok() {
			return 0, status
		}
	}
	markStable(in)
	return r.RawFileSystem.Writev(cancel, in, data)
}

// SetXAttr takes setgid off a file whose ACL is set by a client that is not in
// the file's group, if the kernel says so (CAP_SETXATTR_EXT).
func (r *raw) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	status := r.RawFileSystem.SetXAttr(cancel, in, name, data)
	if status.Ok() && in.SetXAttrFlags&fuse.SETXATTR_ACL_KILL_SGID != 0 {
		status = r.changeMode(cancel, &in.InHeader, 0, false, func(attr *fuse.Attr) uint32 { return attr.Mode &^ unix.S_ISGID })
	}
	return status
}

// changeMode changes the mode of a node, through an open file if there is one.
func (r *raw) changeMode(cancel <-chan struct{}, header *fuse.InHeader, fh uint64, open bool, to func(*fuse.Attr) uint32) fuse.Status {
	get := &fuse.GetAttrIn{InHeader: *header, Fh_: fh}
	set := &fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{InHeader: *header, Valid: fuse.FATTR_MODE, Fh: fh}}
	if open {
		get.Flags_, set.Valid = fuse.FUSE_GETATTR_FH, fuse.FATTR_MODE|fuse.FATTR_FH
	}
	var now fuse.AttrOut
	if status := r.GetAttr(cancel, get, &now); !status.Ok() {
		return status
	}
	if set.Mode = to(&now.Attr); set.Mode == now.Mode {
		return fuse.OK
	}
	return r.SetAttr(cancel, set, &now)
}

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

// dropPrivileges does for a file what Writev does, for the requests in which
// the kernel does not say who is privileged: then root is.
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
