package fs

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// Read reads into dest. It copies where the header is concerned, and leaves nothing
// for later: the header's lock would be gone.
func (f *file) Read(dest []byte, off int64) (int, syscall.Errno) {
	n, err := f.readAt(dest, off)
	f.wasRead() // also with O_DIRECT: a mapping of such a file is read into the kernel's pages
	if err != nil {
		return 0, f.errno("read", err)
	}
	return n, 0
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

// Lseek finds data and holes (SEEK_DATA, SEEK_HOLE); the kernel does the rest
// of seeking itself.
func (f *file) Lseek(off uint64, whence uint32) (uint64, syscall.Errno) {
	n, err := unix.Seek(f.fd, int64(off), int(whence))
	return uint64(n), f.errno("lseek", err)
}
