//go:build linux

package faulty

import (
	"github.com/hanwen/go-fuse/v2/fuse"
)

func (w *wire) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	c := Call{Op: Create, Path: w.child(&in.InHeader, name), Flags: in.Flags}
	status := w.find(c, &out.EntryOut, func() fuse.Status { return w.RawFileSystem.Create(cancel, in, name, out) })
	uncached(&out.OpenOut)
	return status
}

func (w *wire) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	status := w.pass(Call{Op: Open, Path: w.path(in.NodeId), Flags: in.Flags}, func() fuse.Status {
		return w.RawFileSystem.Open(cancel, in, out)
	})
	uncached(out)
	return status
}

// uncached keeps the kernel from answering in our place.
func uncached(out *fuse.OpenOut) {
	out.OpenFlags = out.OpenFlags&^fuse.FOPEN_KEEP_CACHE | fuse.FOPEN_DIRECT_IO
}

func (w *wire) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (result fuse.ReadResult, status fuse.Status) {
	c := Call{Op: Read, Path: w.path(in.NodeId), Offset: int64(in.Offset), Size: int64(in.Size)}
	status = w.pass(c, func() fuse.Status {
		result, status = w.RawFileSystem.Read(cancel, in, buf)
		return status
	})
	return result, status
}

// Writev leaves it to Write, which is asked then.
func (w *wire) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

func (w *wire) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (written uint32, status fuse.Status) {
	c := Call{Op: Write, Path: w.path(in.NodeId), Offset: int64(in.Offset), Size: int64(len(data)), Flags: in.Flags}
	status = w.pass(c, func() fuse.Status {
		written, status = w.RawFileSystem.Write(cancel, in, data)
		return status
	})
	return written, status
}

// CopyFileRange is not there, so that a copy is made of reads and writes.
func (w *wire) CopyFileRange(<-chan struct{}, *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

func (w *wire) Lseek(cancel <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	return w.at(Lseek, &in.InHeader, func() fuse.Status { return w.RawFileSystem.Lseek(cancel, in, out) })
}

func (w *wire) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	c := Call{Op: Fallocate, Path: w.path(in.NodeId), Offset: int64(in.Offset), Size: int64(in.Length)}
	return w.pass(c, func() fuse.Status { return w.RawFileSystem.Fallocate(cancel, in) })
}

func (w *wire) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	return w.at(Flush, &in.InHeader, func() fuse.Status { return w.RawFileSystem.Flush(cancel, in) })
}

func (w *wire) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return w.pass(Call{Op: Fsync, Path: w.path(in.NodeId), Flags: in.FsyncFlags}, func() fuse.Status {
		return w.RawFileSystem.Fsync(cancel, in)
	})
}
