package connection

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A worker reads requests and answers them, one after the other.
type worker struct {
	c *Connection

	// A buffer each for a request and its answer, as large as they can be.
	// What they say of data begins on a page: the kernel copies whole pages
	// then.
	in, out []byte
	pipe    pipe // for what needs no buffer; see answerSpliced

	// unique is the number of the request in work, until it is answered, then
	// 0, or abandoned. The others are that request's, for other workers to
	// read: the buffer is the worker's own.
	unique         atomic.Uint64
	opcode, client atomic.Uint32
	nodes          [2]atomic.Uint64
}

// abandoned stands for the number of a request that is in work although its client
// has an answer. The kernel's numbers are even, but for FUSE_INT_REQ_BIT.
const abandoned = ^uint64(0)

var pageSize = os.Getpagesize()

func newWorker(c *Connection) *worker {
	// Beside data an answer has up to a page: what go-fuse may lay out.
	return &worker{
		c:   c,
		in:  aligned(writeInSize, max(c.options.MaxWrite, minBuffer)),
		out: aligned(outHeaderSize, max(c.options.MaxWrite, minBuffer)+pageSize),
	}
}

// minBuffer is FUSE_MIN_READ_BUFFER of linux/fuse.h: reading a request into less
// is an error.
const minBuffer = 8192

// aligned makes a buffer of head and size bytes, of which the latter begin on a
// page.
func aligned(head, size int) []byte {
	b := make([]byte, head+size+pageSize)
	over := int(uintptr(unsafe.Pointer(&b[head])) % uintptr(pageSize))
	skip := (pageSize - over) % pageSize
	return b[skip : skip+head+size]
}

// run answers requests until the file system is unmounted, or the workers are
// suspended, or others wait for requests and this worker is one too many.
//
// Whoever takes a request sees to it that another waits for the next: a request
// may take long. But not for one that wants no answer: as these do not make anybody
// wait, the kernel sends them by the thousand.
func (w *worker) run() {
	defer w.c.crew.leave()
	defer w.c.workers.giveBack(w)
	for !w.c.suspended.Load() {
		n, err := w.read()
		last := w.c.idle.Add(-1) == 0
		if err != nil {
			w.leave(err)
			return
		}
		if last && !w.header().unanswered() {
			w.c.hire()
		}
		w.answer(n)
		if w.c.idle.Add(1) > w.c.maxIdle {
			break
		}
	}
	w.c.idle.Add(-1)
}

// leave is told why there are no more requests.
func (w *worker) leave(err error) {
	w.c.ended.Store(true)
	if err != unix.ENODEV { // it is unmounted
		w.c.log.Printf("read a request from the kernel: %v", err)
	}
}

// read reads a request.
func (w *worker) read() (n int, err error) {
	for {
		n, err = unix.Read(w.c.device, w.in)
		switch {
		case err == unix.EINTR: // of the runtime's making
		case err == unix.ENOENT: // the client was killed while we read
		case err == nil && n < inHeaderSize:
			return n, syscall.EPROTO
		default:
			return n, err
		}
	}
}

// send writes the answer, unless the client has got one; see abandon.
func (w *worker) send(size int) (sent bool) {
	if !w.unique.CompareAndSwap(w.header().Unique, 0) {
		return false
	}
	err := write(w.c.device, w.out[:size])
	// ENOENT: it was unmounted by force, or nobody waits for the answer to a
	// file's release any more.
	if err != nil && err != unix.ENOENT && err != unix.ENODEV {
		w.c.log.Printf("answer request %d (opcode %d): %v", w.header().Unique, w.header().Opcode, err)
	}
	return true
}

func write(device int, message []byte) error {
	for {
		if _, err := unix.Write(device, message); err != unix.EINTR {
			return err
		}
	}
}

// A roster is all workers that there are, and those among them that have no work.
// A worker's buffers are large, so it is kept.
type roster struct {
	mu   sync.Mutex
	all  []*worker
	free []*worker
}

func (r *roster) take(c *Connection) *worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := len(r.free) - 1; last >= 0 {
		w := r.free[last]
		r.free = r.free[:last]
		return w
	}
	w := newWorker(c)
	r.all = append(r.all, w)
	return w
}

func (r *roster) giveBack(w *worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = append(r.free, w)
}

// with finds the worker that has a request in work.
func (r *roster) with(unique uint64) *worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.all {
		if w.unique.Load() == unique {
			return w
		}
	}
	return nil
}
