package connection

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A large read goes through a pipe where the file lies in the page cache below: then
// its pages are copied once, to where the kernel wants them, and not to a buffer
// before. They are not moved (SPLICE_F_MOVE), since they would be gone below.
const (
	// leastSpliced is where that begins to save more than the pipe costs.
	leastSpliced = 128 << 10
	// pipeSize is as much as a process may have without CAP_SYS_RESOURCE
	// (fs.pipe-max-size). The header of the answer takes a page of it, so that
	// the largest request does not fit.
	pipeSize = 1 << 20
)

// A pipe is empty between requests. Where anything went wrong with one it is closed,
// with what was in it, and the next request has another.
type pipe struct {
	made    bool
	out, in int
}

// fits tells whether a pipe has room for that much data, wherever on a page it
// begins, and a header.
func (p *pipe) fits(size uint32) bool { return int64(size)+2*int64(pageSize) <= pipeSize }

// make makes sure that there is one.
func (p *pipe) make() error {
	if p.made {
		return nil
	}
	var ends [2]int
	// Whatever happens, nothing waits for a pipe.
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	*p = pipe{made: true, out: ends[0], in: ends[1]}
	_, err := unix.FcntlInt(uintptr(p.in), unix.F_SETPIPE_SZ, pipeSize)
	if err != nil {
		p.close()
	}
	return err
}

func (p *pipe) close() {
	if p.made {
		unix.Close(p.out)
		unix.Close(p.in)
	}
	*p = pipe{}
}

// closePipes is for when nobody is at work any more.
func (r *roster) closePipes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.all {
		w.pipe.close()
	}
}

// answerSpliced answers a read through the pipe. It returns false where it has not
// answered.
func (w *worker) answerSpliced(in *fuse.ReadIn) bool {
	if in.Size < leastSpliced || !w.pipe.fits(in.Size) || w.c.unspliced.Load() {
		return false
	}
	file := w.c.fs.SpliceFrom(in)
	if file < 0 || w.pipe.make() != nil {
		return false
	}
	if !w.fill(file, in) {
		w.pipe.close()
		return false
	}
	return w.sendSpliced(outHeaderSize + int(in.Size))
}

// fill puts the answer into the pipe. The header says how long it is, and comes first:
// so it returns false where the file ends too early, and where it cannot be read.
func (w *worker) fill(file int, in *fuse.ReadIn) bool {
	*w.outHeader() = fuse.OutHeader{Length: uint32(outHeaderSize) + in.Size, Unique: w.header().Unique}
	if _, err := unix.Write(w.pipe.in, w.out[:outHeaderSize]); err != nil {
		return false
	}
	off := int64(in.Offset)
	for left := int(in.Size); left > 0; {
		n, err := unix.Splice(file, &off, w.pipe.in, nil, left, unix.SPLICE_F_NONBLOCK)
		switch {
		case err == unix.EINTR:
		case err != nil || n == 0:
			return false
		default:
			left -= int(n)
		}
	}
	return true
}

// sendSpliced sends the answer that is in the pipe, unless the client has got one;
// see abandon.
func (w *worker) sendSpliced(size int) (sent bool) {
	request := w.header().Unique
	if !w.unique.CompareAndSwap(request, 0) {
		w.pipe.close()
		return true
	}
	n, err := w.spliceToDevice(size)
	if err == nil && n == size {
		return true
	}
	w.pipe.close()
	if err == unix.ENOENT || err == unix.ENODEV { // it has been unmounted
		return true
	}
	w.c.unspliced.Store(true)
	w.c.log.Printf("large reads are copied from now on: splice %d bytes to the kernel: %d, %v", size, n, err)
	w.unique.Store(request)
	return false
}

func (w *worker) spliceToDevice(size int) (int, error) {
	for {
		n, err := unix.Splice(w.pipe.out, nil, w.c.device, nil, size, unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			return int(n), err
		}
	}
}
