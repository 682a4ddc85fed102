package fs

import (
	"context"
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

var _ = (gofuse.FileReader)((*file)(nil))

// Read answers with data and never with a descriptor where the header is
// concerned: a descriptor would be read after the lock is gone.
func (f *file) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if len(dest) == 0 {
		return self{file: f}, 0
	}
	n, err := f.readAt(dest, off)
	f.wasRead()
	if err != nil {
		return nil, f.errno("read", err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

// readAt reads the presented bytes; fewer than asked for only where the file
// ends.
func (f *file) readAt(dest []byte, off int64) (int, error) {
	if off >= vdi.HeaderSize {
		return preadFull(f.fd, dest, off)
	}
	head, err := f.readHeader(dest, int(off))
	if err != nil || head == len(dest) || int(off)+head < vdi.HeaderSize {
		return head, err
	}
	n, err := preadFull(f.fd, dest[head:], vdi.HeaderSize)
	return head + n, err
}

func (f *file) readHeader(dest []byte, off int) (int, error) {
	f.header.mu.Lock()
	defer f.header.mu.Unlock()
	_, presented, err := f.header.loadPresented(f.fd, f.vol.mask)
	if err != nil || off >= len(presented) {
		return 0, err
	}
	return copy(dest, presented[off:]), nil
}

var _ = (gofuse.FileLseeker)((*file)(nil))

// Lseek finds data and holes (SEEK_DATA, SEEK_HOLE); the kernel does the rest
// of seeking itself.
func (f *file) Lseek(_ context.Context, off uint64, whence uint32) (uint64, syscall.Errno) {
	n, err := unix.Seek(f.fd, int64(off), int(whence))
	return uint64(n), f.errno("lseek", err)
}
