package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// truncate makes the file size bytes long.
func (f *file) truncate(size int64) error {
	return f.header.change(f.fd, f.vol.mask,
		func() error {
			return retry(func() error { return unix.Ftruncate(f.fd, size) })
		},
		func(presented []byte) []byte {
			return resize(presented, int(min(size, vdi.HeaderSize)))
		})
}

// Allocate allocates, punches holes and zeroes ranges (fallocate(2)). The
// modes that move data, which the kernel does not pass on to FUSE anyway, are
// refused: what a client would see of the header after them is nobody's wish.
func (f *file) Allocate(caller *fuse.Caller, off, size uint64, mode uint32) syscall.Errno {
	err := f.dropPrivileges(caller)
	if err == nil {
		err = roomy(f.node.mirror, func() error { return f.allocate(int64(off), int64(size), mode) })
	}
	return f.errno("fallocate", err)
}

func (f *file) allocate(off, size int64, mode uint32) error {
	if mode&^uint32(fallocKeepSize|fallocPunchHole|fallocZeroRange) != 0 {
		return syscall.EOPNOTSUPP
	}
	call := func() error {
		return retry(func() error { return fallocate(f.fd, mode, off, size) })
	}
	if off >= vdi.HeaderSize && f.header.whole.Load() {
		return call() // which may take long, so nobody waits for it
	}
	return f.header.change(f.fd, f.vol.mask, call,
		func(presented []byte) []byte {
			from, to := int(min(off, vdi.HeaderSize)), int(min(off+size, vdi.HeaderSize))
			if mode&fallocKeepSize == 0 {
				presented = resize(presented, max(len(presented), to))
			}
			if mode&(fallocPunchHole|fallocZeroRange) != 0 {
				clear(presented[min(from, len(presented)):min(to, len(presented))])
			}
			return presented
		})
}
