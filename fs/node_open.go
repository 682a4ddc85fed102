package fs

import (
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Open opens a regular file; the kernel opens everything else itself.
func (n *node) Open(flags int) (*file, syscall.Errno) {
	f, err := n.openChecked(flags)
	return f, n.mirror.errno("open", n, err)
}

// openFlags answers an open with flags of linux/fuse.h.
func (f *file) openFlags(caller *fuse.Caller, flags int) uint32 {
	reply, backed := f.openBacked(caller, flags)
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

// Create makes a file and opens it.
func (n *node) Create(in *fuse.CreateIn, name string, out *fuse.EntryOut) (f *file, errno syscall.Errno) {
	err := n.changeDir(func(vol *volume, dir int) (err error) {
		if n.hides(name) {
			return errHidden
		}
		f, err = n.create(vol, dir, in, name, out)
		return err
	})
	return f, n.mirror.errno("create", n, err)
}

func (n *node) create(vol *volume, dir int, in *fuse.CreateIn, name string, out *fuse.EntryOut) (*file, error) {
	fd, err := roomy2(n.mirror, func() (int, error) { return createExclusive(dir, name, in) })
	if err != nil {
		return nil, err
	}
	if err := n.own(&in.Caller, dir, fd); err != nil {
		unix.Close(fd)
		return nil, errors.Join(err, unix.Unlinkat(dir, name, 0))
	}
	child, err := n.child(vol, dir, name, out)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return newFile(child, vol, fd, int(in.Flags))
}

// createExclusive makes a file that must not exist: the kernel has just looked.
// If somebody made it behind the mount since, ESTALE makes the kernel look once
// more, unless the client wants to know.
func createExclusive(dir int, name string, in *fuse.CreateIn) (int, error) {
	flags := int(in.Flags)
	fd, err := unix.Openat(dir, name, backingFlags(flags)|unix.O_CREAT|unix.O_EXCL, masked(dir, in.Mode, in.Umask)&0o7777)
	if err == unix.EEXIST && flags&unix.O_EXCL == 0 {
		err = unix.ESTALE
	}
	return fd, err
}
