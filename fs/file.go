package fs

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// A file is an open file. The kernel releases it after every other operation on it
// has returned, so the descriptor needs no lock; but see openFiles.
type file struct {
	node   *node
	vol    *volume
	fd     int
	key    fileKey
	header *header

	// writable tells whether fd can write; the kernel may truncate through
	// a file that was opened read-only (O_RDONLY|O_TRUNC).
	writable bool

	// claim is what the open of the file made the node's cache claim, if anything.
	claim *claim

	// backing is the kernel's number of the stored file, where the kernel
	// does the file's I/O by itself, and else 0.
	backing int32
}

// newFile takes over fd, a descriptor of n's regular file.
func newFile(n *node, vol *volume, fd int, flags int) (*file, error) {
	s, err := statAt(fd, "")
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	key := fileKey{s.id.dev, s.id.ino}
	return registerFile(&file{node: n, vol: vol, fd: fd, key: key, writable: flags&unix.O_ACCMODE != unix.O_RDONLY}), nil
}

// registerFile lets all know of an open file.
func registerFile(f *file) *file {
	m := f.node.mirror
	f.header = m.headers.acquire(f.key)
	f.vol.open.Add(1)
	m.files.Store(f, nil)
	return f
}

// close closes the file, the first time that it is called.
func (f *file) close() error {
	if _, open := f.node.mirror.files.LoadAndDelete(f); !open {
		return nil
	}
	f.opened()
	f.node.mirror.headers.release(f.key)
	err := errors.Join(f.closeBacked(), unix.Close(f.fd))
	if f.vol.open.Add(-1) == 0 {
		f.node.mirror.unused(f.vol)
	}
	return err
}

func (f *file) errno(operation string, err error) syscall.Errno {
	return f.node.mirror.errno(operation, f.node, err)
}

// Release closes the file. Nobody is told of an error here: Flush was.
func (f *file) Release() { _ = f.errno("release", f.close()) }

// Flush answers close(2), once for each descriptor a client has of the file.
// Closing a duplicate makes the backing file system report what it reports
// at close (a full disk or quota, on NFS).
func (f *file) Flush() syscall.Errno {
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.Close(fd)
	}
	return f.errno("flush", err)
}

// fsyncDataOnly is FUSE_FSYNC_FDATASYNC of linux/fuse.h.
const fsyncDataOnly = 1

// Fsync brings the file, or only its data, to stable storage.
func (f *file) Fsync(flags uint32) syscall.Errno {
	sync := unix.Fsync
	if flags&fsyncDataOnly != 0 {
		sync = fdatasync
	}
	return f.errno("fsync", retry(func() error { return sync(f.fd) }))
}
