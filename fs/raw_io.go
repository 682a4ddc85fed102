package fs

import (
	"io"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// ReadFile reads an open file into dest.
func (r *raw) ReadFile(in *fuse.ReadIn, dest []byte) (int, fuse.Status) {
	f := r.files.get(in.Fh)
	if f == nil {
		return 0, fuse.EBADF
	}
	n, errno := f.Read(dest, int64(in.Offset))
	return n, fuse.Status(errno)
}

// WriteFile writes to an open file.
func (r *raw) WriteFile(in *fuse.WriteIn, data []byte) (int, fuse.Status) {
	f := r.files.get(in.Fh)
	if f == nil {
		return 0, fuse.EBADF
	}
	if f.plain(in) {
		freed := r.mirror.orphans.freed.Load()
		n, err := f.pwrite(data, int64(in.Offset))
		if !isFull(err) || !r.mirror.orphans.mayMakeRoom(freed) { // or else Write waits for room
			return n, fuse.Status(f.errno("write", err))
		}
	}
	n, errno := f.Write(in, data)
	return n, fuse.Status(errno)
}

// Read is ReadFile for go-fuse.
func (r *raw) Read(_ <-chan struct{}, in *fuse.ReadIn, dest []byte) (fuse.ReadResult, fuse.Status) {
	n, status := r.ReadFile(in, dest)
	return fuse.ReadResultData(dest[:n]), status
}

// Write is WriteFile for go-fuse.
func (r *raw) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n, status := r.WriteFile(in, data)
	return uint32(n), status
}

// Writev is Write of what has come in several buffers.
func (r *raw) Writev(_ <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	f := r.files.get(in.Fh)
	if f == nil {
		return 0, fuse.EBADF
	}
	n, errno := f.Write(in, data...)
	return uint32(n), fuse.Status(errno)
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
