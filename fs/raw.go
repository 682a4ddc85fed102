package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A raw file system stands between the protocol and go-fuse's tree of nodes,
// for what requests say and the tree does not pass on: a client's umask, and
// that a write has to take setuid and setgid away.
type raw struct{ fuse.RawFileSystem }

// umaskShift is where a mode on its way to a node carries the client's umask.
// A mode has 16 bits, a request has room for 32.
const umaskShift = 16

// Create passes the umask on. The kernel leaves applying it to us
// (CAP_DONT_MASK), because a directory with a default ACL overrides it.
func (r *raw) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	in.Mode |= in.Umask << umaskShift
	return r.RawFileSystem.Create(cancel, in, name, out)
}

// Tmpfile passes the umask on.
func (r *raw) Tmpfile(cancel <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	in.Mode |= in.Umask << umaskShift
	return r.RawFileSystem.Tmpfile(cancel, in, out)
}

// Mkdir passes the umask on.
func (r *raw) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	in.Mode |= in.Umask << umaskShift
	return r.RawFileSystem.Mkdir(cancel, in, name, out)
}

// Mknod passes the umask on.
func (r *raw) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	in.Mode |= in.Umask << umaskShift
	return r.RawFileSystem.Mknod(cancel, in, name, out)
}

// masked takes the umask that a mode carries off it, unless the directory's
// default ACL decides instead, as in the kernel's posix_acl_create.
func masked(dir int, mode uint32) uint32 {
	umask := mode >> umaskShift
	mode &= 1<<umaskShift - 1
	if _, err := getxattr(dir, "system.posix_acl_default", nil); err == nil {
		return mode
	}
	return mode &^ umask
}

// Writev takes setuid and setgid off a file that an unprivileged client writes
// to. The kernel leaves that to us (CAP_HANDLE_KILLPRIV_V2), because otherwise
// it would ask for an attribute before each write of any file. File
// capabilities go by themselves, at our write to the backing file.
func (r *raw) Writev(cancel <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	if in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0 {
		if status := r.dropPrivileges(cancel, &in.InHeader, in.Fh); !status.Ok() {
			return 0, status
		}
	}
	return r.RawFileSystem.Writev(cancel, in, data)
}

func (r *raw) dropPrivileges(cancel <-chan struct{}, header *fuse.InHeader, fh uint64) fuse.Status {
	var now fuse.AttrOut
	get := &fuse.GetAttrIn{InHeader: *header, Flags_: fuse.FUSE_GETATTR_FH, Fh_: fh}
	if status := r.GetAttr(cancel, get, &now); !status.Ok() {
		return status
	}
	mode := withoutPrivileges(now.Mode)
	if mode == now.Mode {
		return fuse.OK
	}
	set := &fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{
		InHeader: *header, Valid: fuse.FATTR_FH | fuse.FATTR_MODE, Fh: fh, Mode: mode,
	}}
	return r.SetAttr(cancel, set, &now)
}

// withoutPrivileges is the mode without setuid, and without setgid where that
// is not the mark of mandatory locking (no execution by the group), as in the
// kernel's setattr_should_drop_suidgid.
func withoutPrivileges(mode uint32) uint32 {
	if mode&unix.S_IXGRP != 0 {
		mode &^= unix.S_ISGID
	}
	return mode &^ unix.S_ISUID
}

// dropPrivileges does for the operations that go round Writev what it does, if
// the client is not root.
func (f *file) dropPrivileges(caller *fuse.Context) error {
	if caller.Uid == 0 {
		return nil
	}
	s, err := statAt(f.fd, "")
	if mode := withoutPrivileges(s.attr.Mode); err == nil && mode != s.attr.Mode {
		err = chmodInode(f.fd, mode&0o7777)
	}
	return err
}
