package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Lookup looks up while no name in the directory changes.
func (r *raw) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	defer r.names.read(in.NodeId)()
	dir := r.node(in.NodeId)
	if dir == nil {
		return staleNode
	}
	found, errno := dir.Lookup(name, out)
	if errno == 0 {
		r.enter(dir, name, found, false, out)
	}
	return fuse.Status(errno)
}

// Forget is told how many of a node's lookups the kernel has forgotten.
func (r *raw) Forget(nodeID, lookups uint64) {
	for _, n := range r.mirror.inodes.forget(nodeID, lookups) {
		n.named() // an orphan ends
	}
}

// Mkdir makes a directory, or a volume.
func (r *raw) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return r.make(in.NodeId, name, out, func(dir *node) (*node, fuse.Status) {
		made, errno := dir.Mkdir(contextOf(&in.InHeader, cancel), name, in.Mode, in.Umask, out)
		return made, fuse.Status(errno)
	})
}

// Mknod makes a fifo, a socket, a device, or an empty regular file.
func (r *raw) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return r.make(in.NodeId, name, out, func(dir *node) (*node, fuse.Status) {
		made, errno := dir.Mknod(&in.Caller, name, in.Mode, in.Umask, in.Rdev, out)
		return made, fuse.Status(errno)
	})
}

// Symlink makes a symbolic link.
func (r *raw) Symlink(_ <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return r.make(in.NodeId, name, out, func(dir *node) (*node, fuse.Status) {
		made, errno := dir.Symlink(&in.Caller, target, name, out)
		return made, fuse.Status(errno)
	})
}

// make notes what was made in a directory.
func (r *raw) make(in uint64, name string, out *fuse.EntryOut, call func(dir *node) (*node, fuse.Status)) fuse.Status {
	return r.at(in, func(dir *node) fuse.Status {
		made, status := call(dir)
		if status.Ok() {
			r.enter(dir, name, made, true, out)
		}
		return status
	})
}

// Link gives a file another name.
func (r *raw) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	dir, old := r.node(in.NodeId), r.node(in.Oldnodeid)
	if dir == nil || old == nil {
		return staleNode
	}
	found, errno := dir.Link(old, name, out)
	if errno == 0 {
		r.enter(dir, name, found, false, out)
	}
	return fuse.Status(errno)
}

// Unlink removes a name, and keeps lookups out meanwhile.
func (r *raw) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	defer r.names.write(in.NodeId)()
	return r.remove(in.NodeId, name, func(dir *node) fuse.Status { return fuse.Status(dir.Unlink(name)) })
}

// Rmdir removes a directory, and keeps lookups out meanwhile, unless it may be to
// destroy a volume: that takes long, and all paths on the mount begin at the top.
func (r *raw) Rmdir(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if in.NodeId != fuse.FUSE_ROOT_ID {
		defer r.names.write(in.NodeId)()
	}
	return r.remove(in.NodeId, name, func(dir *node) fuse.Status {
		return fuse.Status(dir.Rmdir(contextOf(in, cancel), name))
	})
}

// remove notes that a name is gone.
func (r *raw) remove(in uint64, name string, call func(dir *node) fuse.Status) fuse.Status {
	return r.at(in, func(dir *node) fuse.Status {
		status := call(dir)
		if status.Ok() {
			r.mirror.inodes.remove(dir, name)
		}
		return status
	})
}

// Rename renames, and keeps lookups out of both directories meanwhile, unless it may
// be to rename a volume.
func (r *raw) Rename(cancel <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	if !r.managed || in.NodeId != fuse.FUSE_ROOT_ID || in.Newdir != fuse.FUSE_ROOT_ID {
		defer r.names.writeBoth(in.NodeId, in.Newdir)()
	}
	dir, to := r.node(in.NodeId), r.node(in.Newdir)
	if dir == nil || to == nil {
		return staleNode
	}
	errno := dir.Rename(contextOf(&in.InHeader, cancel), name, to, newName, in.Flags)
	if errno == 0 {
		r.mirror.inodes.rename(dir, name, to, newName, in.Flags&renameExchange != 0)
	}
	return fuse.Status(errno)
}
