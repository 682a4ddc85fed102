package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// pageLenders are the file systems, as statfs(2) numbers them, that lend splice(2) the
// pages of their cache. Others read into new pages for it, which is as much work as
// to read into a buffer: ZFS has a cache of its own.
var pageLenders = map[uint32]bool{
	unix.EXT4_SUPER_MAGIC:  true,
	unix.XFS_SUPER_MAGIC:   true,
	unix.BTRFS_SUPER_MAGIC: true,
	unix.TMPFS_MAGIC:       true,
}

// SpliceFrom returns a descriptor to splice from what a read asks for, or -1 where it is
// better copied, or has to be: the header is not served as it is stored.
//
// What the kernel gets may be newer than what wasRead saw. Then so are the file's
// times at the next open: of these file systems none brings old ones back.
func (r *raw) SpliceFrom(in *fuse.ReadIn) (fd int) {
	f := r.files.get(in.Fh)
	if f == nil || in.Offset < vdi.HeaderSize || !pageLenders[fileSystemOf(f.fd)] {
		return -1
	}
	f.wasRead()
	return f.fd
}
