package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Open opens a file.
func (r *raw) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return r.at(in.NodeId, func(n *node) fuse.Status {
		f, errno := n.Open(int(in.Flags))
		if errno == 0 {
			r.opened(f, &in.Caller, in.Flags, out)
		}
		return fuse.Status(errno)
	})
}

// Create makes a file and opens it.
func (r *raw) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return r.at(in.NodeId, func(dir *node) fuse.Status {
		f, errno := dir.Create(in, name, &out.EntryOut)
		return r.created(f, errno, dir, name, in, out)
	})
}

// Tmpfile makes a file without a name and opens it.
func (r *raw) Tmpfile(_ <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	return r.at(in.NodeId, func(dir *node) fuse.Status {
		f, errno := dir.Tmpfile(in, &out.EntryOut)
		return r.created(f, errno, dir, "", in, out)
	})
}

// created notes a file that was made in a directory, and opened.
func (r *raw) created(f *file, errno syscall.Errno, dir *node, name string, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	if errno == 0 {
		f.node = r.enter(dir, name, f.node, true, &out.EntryOut)
		r.opened(f, &in.Caller, in.Flags, &out.OpenOut)
	}
	return fuse.Status(errno)
}

// Release closes a file.
func (r *raw) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if f := r.files.remove(in.Fh); f != nil {
		f.node.files.remove(f)
		f.Release()
	}
}

// Flush answers close(2).
func (r *raw) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	return r.with(in.Fh, func(f *file) fuse.Status { return fuse.Status(f.Flush()) })
}

// Fsync brings a file to stable storage.
func (r *raw) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return r.with(in.Fh, func(f *file) fuse.Status { return fuse.Status(f.Fsync(in.FsyncFlags)) })
}

// Fallocate allocates, punches holes and zeroes ranges.
func (r *raw) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	return r.with(in.Fh, func(f *file) fuse.Status {
		return fuse.Status(f.Allocate(&in.Caller, in.Offset, in.Length, in.Mode))
	})
}

// Lseek finds data and holes.
func (r *raw) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	return r.with(in.Fh, func(f *file) fuse.Status {
		off, errno := f.Lseek(in.Offset, in.Whence)
		out.Offset = off
		return fuse.Status(errno)
	})
}

// CopyFileRange copies from one file to another, or within one.
func (r *raw) CopyFileRange(_ <-chan struct{}, in *fuse.CopyFileRangeIn) (done uint32, status fuse.Status) {
	from, to := r.files.get(in.FhIn), r.files.get(in.FhOut)
	if from == nil || to == nil {
		return 0, fuse.EBADF
	}
	done, errno := from.CopyFileRange(in, to)
	return done, fuse.Status(errno)
}

// Ioctl is refused: it would be carried out with the daemon's rights.
func (r *raw) Ioctl(<-chan struct{}, *fuse.IoctlIn, []byte, *fuse.IoctlOut, []byte) fuse.Status {
	return fuse.Status(unix.ENOTTY)
}

// with does something with an open file.
func (r *raw) with(handle uint64, do func(f *file) fuse.Status) fuse.Status {
	f := r.files.get(handle)
	if f == nil {
		return fuse.EBADF
	}
	return do(f)
}
