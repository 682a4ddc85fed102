package fs

import (
	"io"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// ReadFile reads an open file into dest. It is Read without what go-fuse does
// around it for each request.
func (r *raw) ReadFile(in *fuse.ReadIn, dest []byte) (int, fuse.Status) {
	f := r.handles.file(in.Fh)
	if f == nil {
		return 0, fuse.EBADF
	}
	n, err := f.readAt(dest, int64(in.Offset))
	f.wasRead() // also with O_DIRECT: a mapping of such a file is read into the kernel's pages
	if err != nil {
		return 0, fuse.Status(f.errno("read", err))
	}
	return n, fuse.OK
}

// WriteFile writes to an open file. It is Writev without what go-fuse does around
// it, where nothing needs care but the data.
func (r *raw) WriteFile(in *fuse.WriteIn, data []byte) (int, fuse.Status) {
	f := r.handles.file(in.Fh)
	if f != nil && f.plain(in) {
		n, err := f.pwrite(data, int64(in.Offset))
		if !isFull(err) || !r.mirror.orphans.any() { // Writev waits for room
			return n, fuse.Status(f.errno("write", err))
		}
	}
	n, status := r.Writev(nil, in, [][]byte{data})
	return int(n), status
}

// plain tells whether a write is one to the backing file and no more.
func (f *file) plain(in *fuse.WriteIn) bool {
	return in.WriteFlags&fuse.WRITE_KILL_SUIDGID == 0 && in.Flags&stableFlags == 0 &&
		in.Offset >= vdi.HeaderSize && f.header.whole.Load()
}

// pwrite writes all of data, or what fits before an error. The error is returned
// only when nothing was written.
func (f *file) pwrite(data []byte, off int64) (done int, err error) {
	for done < len(data) && err == nil {
		var n int
		n, err = unix.Pwrite(f.fd, data[done:], off+int64(done))
		done += max(n, 0)
		switch {
		case err == unix.EINTR:
			err = nil
		case err == nil && n == 0:
			err = io.ErrShortWrite
		}
	}
	if done > 0 {
		err = nil
	}
	return done, err
}
