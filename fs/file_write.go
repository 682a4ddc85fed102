package fs

import (
	"io"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/clonefs/clonefs/vdi"
)

// Write writes what the client wrote; a request may come in several buffers.
func (f *file) Write(in *fuse.WriteIn, data ...[]byte) (int, syscall.Errno) {
	n, err := f.write(in, data)
	return n, f.errno("write", err)
}

func (f *file) write(in *fuse.WriteIn, data [][]byte) (int, error) {
	if in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0 {
		if err := dropPrivileges(f.fd, &in.Caller); err != nil {
			return 0, err
		}
	}
	n, err := roomy2(f.node.mirror, func() (int, error) { return f.writeAt(data, int64(in.Offset)) })
	if err == nil && in.Flags&stableFlags != 0 {
		err = f.stabilize()
	}
	return n, err
}

// writeAt writes presented bytes. It returns an error only when nothing was
// written.
func (f *file) writeAt(data [][]byte, off int64) (int, error) {
	switch {
	case totalLen(data) == 0:
		return 0, nil // and the file does not grow to off
	case off < vdi.HeaderSize:
		return f.writeHeader(data, off)
	case f.header.whole.Load():
		return pwritevFull(f.fd, data, off)
	default:
		return f.writeBeyondEnd(data, off)
	}
}

// writeHeader writes data that begins in the header.
func (f *file) writeHeader(data [][]byte, off int64) (int, error) {
	f.header.mu.Lock()
	defer f.header.mu.Unlock()
	stored, presented, err := f.header.loadQuietly(f.fd, f.vol.mask)
	if err != nil {
		return 0, err
	}
	p := overlay(stored, presented, data, int(off), f.vol.mask)
	n, err := pwritevFull(f.fd, p.data, int64(p.off))
	if p.off+n >= vdi.HeaderSize {
		f.header.whole.Store(true)
	}
	return p.clientBytes(n), err
}

// writeBeyondEnd writes data beyond the header of a file that may be too short
// to have one.
func (f *file) writeBeyondEnd(data [][]byte, off int64) (n int, err error) {
	err = f.header.change(f.fd, f.vol.mask, func() error {
		n, err = pwritevFull(f.fd, data, off)
		return err
	}, func(presented []byte) []byte { return resize(presented, vdi.HeaderSize) })
	return n, err
}

// A patch is one write to the backing file: what a client wrote, in stored
// form, and what else must change in the header because of it.
type patch struct {
	data   [][]byte
	off    int
	before int // bytes of data that come before the client's
	client int // bytes of data that are the client's
}

// overlay makes the patch that lays a client's data at off over what it sees of
// the header. It covers the client's range only, except where the client's
// bytes make a header of what was none, or the other way round: then it covers
// the fields too, so that what the client sees of them stays as it was. It is
// one write, so that a crash leaves the old header or the new one.
func overlay(stored, presented []byte, data [][]byte, off int, mask vdi.Mask) patch {
	size := totalLen(data)
	end := min(off+size, vdi.HeaderSize)
	want := resize(presented, max(len(presented), end))
	copyAll(want[off:], data)
	mask.Present(want)

	start, stop := off, end
	if from, to := span(stored, want); to > 0 {
		start, stop = min(start, from), max(stop, to)
	}
	_, beyond := splitAt(data, vdi.HeaderSize-off)
	return patch{append([][]byte{want[start:stop]}, beyond...), start, off - start, size}
}

// clientBytes says how many of the client's bytes are among the first n.
func (p patch) clientBytes(n int) int { return max(0, min(n-p.before, p.client)) }

// splitAt cuts data in two after n bytes.
func splitAt(data [][]byte, n int) (head, rest [][]byte) {
	for i, part := range data {
		if len(part) > n {
			return append(head, part[:n]), append([][]byte{part[n:]}, data[i+1:]...)
		}
		head = append(head, part)
		n -= len(part)
	}
	return head, nil
}

// copyAll copies data to dest until either ends.
func copyAll(dest []byte, data [][]byte) {
	for _, part := range data {
		dest = dest[copy(dest, part):]
	}
}

func totalLen(data [][]byte) int {
	n := 0
	for _, part := range data {
		n += len(part)
	}
	return n
}

// pwritevFull writes all of data, or what fits before an error. The error is
// returned only when nothing was written: a short write tells the caller the
// rest, as write(2) does.
func pwritevFull(fd int, data [][]byte, off int64) (int, error) {
	var err error
	done, size := 0, totalLen(data)
	for done < size {
		rest := data
		if done > 0 {
			_, rest = splitAt(data, done)
		}
		var n int
		n, err = retry2(func() (int, error) { return pwritev(fd, rest, off+int64(done)) })
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if done += max(n, 0); err != nil {
			break
		}
	}
	if done > 0 {
		err = nil
	}
	return done, err
}
