package fs

import (
	"context"
	"errors"
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

var _ = (gofuse.NodeOpener)((*node)(nil))

// Open opens a regular file; the kernel opens everything else itself.
func (n *node) Open(ctx context.Context, flags uint32) (gofuse.FileHandle, uint32, syscall.Errno) {
	f, err := n.openChecked(int(flags))
	if err != nil {
		return nil, 0, n.mirror.errno("open", n, err)
	}
	return f, f.openFlags(ctx, int(flags)), 0
}

// openFlags answers an open with flags of linux/fuse.h.
func (f *file) openFlags(ctx context.Context, flags int) uint32 {
	reply, backed := f.openBacked(&ctx.(*fuse.Context).Caller, flags)
	if !backed {
		reply = f.openCached()
	}
	if !f.writable {
		// Closing reports nothing about what was only read. The kernel sees
		// to locks by itself, as nobody asked for FUSE_POSIX_LOCKS.
		reply |= fuse.FOPEN_NOFLUSH
	}
	return reply
}

func (n *node) openChecked(flags int) (*file, error) {
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		return n.openFile(n.vol, flags)
	}
	vol, err := n.writable()
	if err != nil {
		return nil, err
	}
	return n.openFile(vol, flags)
}

// openFile opens the backing file. A file that its owner may write but not read
// is EACCES for a client that wants to write, where the daemon is not root.
func (n *node) openFile(vol *volume, flags int) (*file, error) {
	fd, err := n.open(vol, backingFlags(flags))
	if err == unix.EPERM && flags&keptOpenFlags&noAtime != 0 {
		return n.openFile(vol, flags&^noAtime) // the daemon is not the owner, the client may be
	}
	if err != nil {
		return nil, err
	}
	return newFile(n, vol, fd, flags)
}

// backingFlags are the flags that a backing file is opened with for a client's.
//
// O_WRONLY becomes O_RDWR, because a write that touches the header has to read
// it. O_APPEND goes: the kernel sends every write with its offset, and
// pwrite(2) on a descriptor with O_APPEND would not care for it. O_DIRECT goes:
// our own reads and writes are not aligned, and OpenZFS 2.3 answers EINVAL.
// O_TRUNC, O_CREAT and O_EXCL are requests of their own.
func backingFlags(flags int) int {
	access := flags & unix.O_ACCMODE
	if access == unix.O_WRONLY {
		access = unix.O_RDWR
	}
	return access | flags&keptOpenFlags | unix.O_NOFOLLOW | unix.O_CLOEXEC
}

var _ = (gofuse.NodeCreater)((*node)(nil))

// Create makes a file and opens it.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*gofuse.Inode, gofuse.FileHandle, uint32, syscall.Errno) {
	var child *gofuse.Inode
	var f *file
	err := n.changeDir(func(vol *volume, dir int) (err error) {
		if n.hides(name) {
			return errHidden
		}
		child, f, err = n.create(ctx, vol, dir, name, int(flags), mode, out)
		return err
	})
	if err != nil {
		return nil, nil, 0, n.mirror.errno("create", n, err)
	}
	return child, f, f.openFlags(ctx, int(flags)), 0
}

func (n *node) create(ctx context.Context, vol *volume, dir int, name string, flags int, mode uint32, out *fuse.EntryOut) (*gofuse.Inode, *file, error) {
	fd, err := roomy2(n.mirror, func() (int, error) { return createExclusive(dir, name, flags, mode) })
	if err != nil {
		return nil, nil, err
	}
	if err := n.own(ctx, dir, fd); err != nil {
		unix.Close(fd)
		return nil, nil, errors.Join(err, unix.Unlinkat(dir, name, 0))
	}
	child, err := n.child(ctx, vol, dir, name, out)
	if err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	f, err := newFile(child.Operations().(*node), vol, fd, flags)
	return child, f, err
}

// createExclusive makes a file that must not exist: the kernel has just looked.
// If somebody made it behind the mount since, ESTALE makes the kernel look once
// more, unless the client wants to know.
func createExclusive(dir int, name string, flags int, mode uint32) (int, error) {
	fd, err := unix.Openat(dir, name, backingFlags(flags)|unix.O_CREAT|unix.O_EXCL, masked(dir, mode)&0o7777)
	if err == unix.EEXIST && flags&unix.O_EXCL == 0 {
		err = unix.ESTALE
	}
	return fd, err
}
