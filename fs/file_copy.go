package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/clonefs/clonefs/vdi"
)

// copyStep is how much of a copy goes through the mapping when its start does.
// The rest then begins where a VirtualBox image has its blocks (offData, 1 MiB),
// so that a file system that shares blocks between files can share those.
const copyStep = 1 << 20

// CopyFileRange copies within the mount. What lies beyond both headers is
// copied by the backing file system, which may share its blocks instead; the
// start goes through the mapping of both files. It may copy less than asked
// for, as copy_file_range(2) may.
func (f *file) CopyFileRange(in *fuse.CopyFileRangeIn, to *file) (uint32, syscall.Errno) {
	if err := to.dropPrivileges(&in.Caller); err != nil {
		return 0, to.errno("copy_file_range", err)
	}
	// The answer has 32 bits for the number of bytes copied.
	done, err := copyRange(f, int64(in.OffIn), to, int64(in.OffOut), int(min(in.Len, 1<<30)))
	return uint32(done), f.errno("copy_file_range", err)
}

func copyRange(in *file, offIn int64, out *file, offOut int64, size int) (int, error) {
	if offIn >= vdi.HeaderSize && offOut >= vdi.HeaderSize && out.header.whole.Load() {
		return copyFileRange(in.fd, offIn, out.fd, offOut, size)
	}
	buf := make([]byte, min(int64(size), copyStep-offOut%copyStep))
	read, err := in.readAt(buf, offIn)
	if err != nil || read == 0 {
		return 0, err
	}
	return out.writeAt([][]byte{buf[:read]}, offOut)
}
