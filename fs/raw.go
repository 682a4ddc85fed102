package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
)

// A raw file system stands between the protocol and go-fuse's tree of nodes,
// for what requests say and the tree does not pass on (a client's umask, and that
// a write has to take setuid and setgid away), and for what must be one step with
// what the tree does afterwards (see nameLocks).
type raw struct {
	fuse.RawFileSystem
	mirror  *mirror
	names   nameLocks
	handles handles
	managed bool // a rename at the top may be a volume's
}

// umaskShift is where a mode on its way to a node carries the client's umask.
// A mode has 16 bits, a request has room for 32.
const umaskShift = 16

// Create passes the umask on. The kernel leaves applying it to us
// (CAP_DONT_MASK), because a directory with a default ACL overrides it.
func (r *raw) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	in.Mode |= in.Umask << umaskShift
	status := r.RawFileSystem.Create(cancel, in, name, out)
	if status.Ok() {
		r.opened(out.NodeId, &out.OpenOut)
	}
	return status
}

// Tmpfile passes the umask on.
func (r *raw) Tmpfile(cancel <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	in.Mode |= in.Umask << umaskShift
	status := r.RawFileSystem.Tmpfile(cancel, in, out)
	if status.Ok() {
		r.opened(out.NodeId, &out.OpenOut)
	}
	return status
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
