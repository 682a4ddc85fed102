package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
)

// GetAttr reads attributes.
func (r *raw) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return r.at(in.NodeId, func(n *node) fuse.Status {
		_, errno := n.Getattr(&out.Attr)
		out.SetTimeout(attributesAge)
		return fuse.Status(errno)
	})
}

// SetAttr changes attributes.
func (r *raw) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return r.at(in.NodeId, func(n *node) fuse.Status {
		var f *file
		if handle, ok := in.GetFh(); ok {
			f = r.files.get(handle)
		}
		out.SetTimeout(attributesAge)
		return fuse.Status(n.Setattr(f, in, &out.Attr))
	})
}

// StatFs says how full the file system below is.
func (r *raw) StatFs(_ <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return r.at(in.NodeId, func(n *node) fuse.Status { return fuse.Status(n.Statfs(out)) })
}

// Readlink returns the text of a symbolic link.
func (r *raw) Readlink(_ <-chan struct{}, in *fuse.InHeader) (target []byte, status fuse.Status) {
	status = r.at(in.NodeId, func(n *node) fuse.Status {
		text, errno := n.Readlink()
		target = text
		return fuse.Status(errno)
	})
	return target, status
}

// GetXAttr reads an extended attribute.
func (r *raw) GetXAttr(_ <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (size uint32, status fuse.Status) {
	status = r.at(in.NodeId, func(n *node) fuse.Status {
		length, errno := n.Getxattr(name, dest)
		size = length
		return fuse.Status(errno)
	})
	return size, status
}

// ListXAttr reads the names of extended attributes.
func (r *raw) ListXAttr(_ <-chan struct{}, in *fuse.InHeader, dest []byte) (size uint32, status fuse.Status) {
	status = r.at(in.NodeId, func(n *node) fuse.Status {
		length, errno := n.Listxattr(&in.Caller, dest)
		size = length
		return fuse.Status(errno)
	})
	return size, status
}

// SetXAttr writes an extended attribute. It takes setgid off a file whose access
// control list is set by a client that is not in the file's group, if the kernel says
// so (CAP_SETXATTR_EXT).
func (r *raw) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	return r.at(in.NodeId, func(n *node) fuse.Status {
		errno := n.Setxattr(name, data, in.Flags)
		if errno == 0 && in.SetXAttrFlags&fuse.SETXATTR_ACL_KILL_SGID != 0 {
			errno = n.dropSetgid()
		}
		return fuse.Status(errno)
	})
}

// RemoveXAttr removes an extended attribute.
func (r *raw) RemoveXAttr(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return r.at(in.NodeId, func(n *node) fuse.Status { return fuse.Status(n.Removexattr(name)) })
}

// OpenDir opens a directory for listing.
func (r *raw) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return r.at(in.NodeId, func(n *node) fuse.Status {
		out.Fh = r.directories.add(&directory{node: n})
		return fuse.OK
	})
}

// ReadDir lists a directory.
func (r *raw) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return r.withDirectory(in.Fh, func(d *directory) fuse.Status { return fuse.Status(d.Readdir(in.Offset, out.AddDirEntry)) })
}

// FsyncDir brings a directory to stable storage.
func (r *raw) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return r.withDirectory(in.Fh, func(d *directory) fuse.Status { return fuse.Status(d.Fsyncdir()) })
}

// ReleaseDir closes a directory.
func (r *raw) ReleaseDir(in *fuse.ReleaseIn) { r.directories.remove(in.Fh) }

func (r *raw) withDirectory(handle uint64, do func(*directory) fuse.Status) fuse.Status {
	d := r.directories.get(handle)
	if d == nil {
		return fuse.EBADF
	}
	return do(d)
}

// at does something at a node.
func (r *raw) at(nodeID uint64, do func(*node) fuse.Status) fuse.Status {
	n := r.node(nodeID)
	if n == nil {
		return staleNode
	}
	return do(n)
}

// node returns the node with a number, nil if there is none, or if it is a volume's
// and that is not at its place any more; see placesAge.
func (r *raw) node(nodeID uint64) *node {
	n := r.mirror.inodes.node(nodeID)
	if n == nil || n.isPlace && !n.isTop() && !n.isCurrent() {
		return nil
	}
	return n
}

// isCurrent tells whether a lookup of the node's place would find the node.
func (n *node) isCurrent() bool {
	return n.mirror.sync(n.place) && n.mirror.tree.volume(n.place) == n.vol
}
