//go:build linux

package faulty

import (
	"path"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// A wire stands between the protocol and the mirror of the directory.
type wire struct {
	fuse.RawFileSystem
	fs *FS
}

// path is where a node was last found.
func (w *wire) path(node uint64) string {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	return w.fs.paths[node]
}

// child is the path of a name in a directory.
func (w *wire) child(dir *fuse.InHeader, name string) string {
	return path.Join(w.path(dir.NodeId), name)
}

// pass notes the call and does it, unless it is to fail.
func (w *wire) pass(c Call, call func() fuse.Status) fuse.Status {
	if errno := w.fs.arrive(c); errno != 0 {
		return fuse.Status(errno)
	}
	return call()
}

// find is pass for a call that tells of a node.
func (w *wire) find(c Call, out *fuse.EntryOut, call func() fuse.Status) fuse.Status {
	status := w.pass(c, call)
	if status.Ok() {
		w.fs.mu.Lock()
		defer w.fs.mu.Unlock()
		w.fs.paths[out.NodeId] = c.Path
	}
	return status
}

// at is pass for a call about a node that needs no more than that.
func (w *wire) at(op Op, in *fuse.InHeader, call func() fuse.Status) fuse.Status {
	return w.pass(Call{Op: op, Path: w.path(in.NodeId)}, call)
}

func (w *wire) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return w.find(Call{Op: Lookup, Path: w.child(in, name)}, out, func() fuse.Status {
		return w.RawFileSystem.Lookup(cancel, in, name, out)
	})
}

func (w *wire) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return w.at(GetAttr, &in.InHeader, func() fuse.Status { return w.RawFileSystem.GetAttr(cancel, in, out) })
}

// Statx is not there, so that the kernel uses GetAttr: the mirror's follows
// symbolic links.
func (w *wire) Statx(<-chan struct{}, *fuse.StatxIn, *fuse.StatxOut) fuse.Status { return fuse.ENOSYS }

func (w *wire) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	c := Call{Op: SetAttr, Path: w.path(in.NodeId)}
	if size, ok := in.GetSize(); ok {
		c.Op, c.Size = Truncate, int64(size)
	}
	return w.pass(c, func() fuse.Status { return w.RawFileSystem.SetAttr(cancel, in, out) })
}

func (w *wire) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return w.find(Call{Op: Mknod, Path: w.child(&in.InHeader, name)}, out, func() fuse.Status {
		return w.RawFileSystem.Mknod(cancel, in, name, out)
	})
}

func (w *wire) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return w.find(Call{Op: Mkdir, Path: w.child(&in.InHeader, name)}, out, func() fuse.Status {
		return w.RawFileSystem.Mkdir(cancel, in, name, out)
	})
}

func (w *wire) Symlink(cancel <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return w.find(Call{Op: Symlink, Path: w.child(in, name)}, out, func() fuse.Status {
		return w.RawFileSystem.Symlink(cancel, in, target, name, out)
	})
}

func (w *wire) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return w.find(Call{Op: Link, Path: w.child(&in.InHeader, name)}, out, func() fuse.Status {
		return w.RawFileSystem.Link(cancel, in, name, out)
	})
}

func (w *wire) Readlink(cancel <-chan struct{}, in *fuse.InHeader) (target []byte, status fuse.Status) {
	status = w.at(Readlink, in, func() fuse.Status {
		target, status = w.RawFileSystem.Readlink(cancel, in)
		return status
	})
	return target, status
}

func (w *wire) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return w.pass(Call{Op: Unlink, Path: w.child(in, name)}, func() fuse.Status { return w.RawFileSystem.Unlink(cancel, in, name) })
}

func (w *wire) Rmdir(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return w.pass(Call{Op: Rmdir, Path: w.child(in, name)}, func() fuse.Status { return w.RawFileSystem.Rmdir(cancel, in, name) })
}

func (w *wire) Rename(cancel <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	return w.pass(Call{Op: Rename, Path: w.child(&in.InHeader, oldName)}, func() fuse.Status {
		return w.RawFileSystem.Rename(cancel, in, oldName, newName)
	})
}

func (w *wire) GetXAttr(cancel <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (size uint32, status fuse.Status) {
	status = w.at(GetXAttr, in, func() fuse.Status {
		size, status = w.RawFileSystem.GetXAttr(cancel, in, name, dest)
		return status
	})
	return size, status
}

func (w *wire) ListXAttr(cancel <-chan struct{}, in *fuse.InHeader, dest []byte) (size uint32, status fuse.Status) {
	status = w.at(ListXAttr, in, func() fuse.Status {
		size, status = w.RawFileSystem.ListXAttr(cancel, in, dest)
		return status
	})
	return size, status
}

func (w *wire) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	return w.at(SetXAttr, &in.InHeader, func() fuse.Status { return w.RawFileSystem.SetXAttr(cancel, in, name, data) })
}

func (w *wire) RemoveXAttr(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return w.at(RemoveXAttr, in, func() fuse.Status { return w.RawFileSystem.RemoveXAttr(cancel, in, name) })
}

func (w *wire) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return w.at(OpenDir, &in.InHeader, func() fuse.Status { return w.RawFileSystem.OpenDir(cancel, in, out) })
}

func (w *wire) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return w.at(ReadDir, &in.InHeader, func() fuse.Status { return w.RawFileSystem.ReadDir(cancel, in, out) })
}

func (w *wire) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return w.pass(Call{Op: FsyncDir, Path: w.path(in.NodeId), Flags: in.FsyncFlags}, func() fuse.Status {
		return w.RawFileSystem.FsyncDir(cancel, in)
	})
}

func (w *wire) StatFs(cancel <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return w.at(StatFs, in, func() fuse.Status { return w.RawFileSystem.StatFs(cancel, in, out) })
}
