package connection

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A client that is being killed need not wait for a file system below that hangs, as
// NFS does while its server is away: its request is answered, and what comes of it is
// nobody's. Other signals must not end a read or a write of a file.
//
// The kernel sends FUSE_INTERRUPT when a client that waits gets a signal, whichever,
// but not where it has made several requests of one (CAP_ASYNC_DIO). So the workers
// are looked at from time to time.

// watch looks after workers until all of them are gone.
func (c *Connection) watch() {
	const pause = 500 * time.Millisecond
	seen := map[*worker]uint64{}
	for {
		select {
		case <-c.served:
			return
		case <-time.After(pause):
			c.workers.look(seen)
		}
	}
}

// look abandons the requests that were seen in work the last time too, and whose
// client is being killed.
func (r *roster) look(seen map[*worker]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.all {
		request := w.unique.Load()
		if request != 0 && request != abandoned && seen[w] == request && killed(w.client.Load()) {
			w.abandon(request)
		}
		seen[w] = request
	}
}

// interrupt lets an operation that can be stopped know of a signal. The worker may
// have its next request already: then the one that is meant is answered, and the kernel
// takes no notice of what is said here.
func (w *worker) interrupt(n int) {
	request := (*fuse.InterruptIn)(unsafe.Pointer(&w.in[0])).Unique
	at := w.c.workers.with(request)
	if at == nil || !at.doesFileIO() && !w.tell(n) {
		w.reply(fuse.EAGAIN, 0) // it has not begun: ask again
	}
}

// doesFileIO tells whether the request in work is one that go-fuse is not given.
func (w *worker) doesFileIO() bool {
	opcode := w.opcode.Load()
	return opcode == opRead || opcode == opWrite
}

// tell lets go-fuse know, which says nothing unless it has not begun.
func (w *worker) tell(n int) bool {
	size, _ := w.passOn(n)
	return size == 0
}

// abandon answers a request that is in work; what comes of it is nobody's.
func (w *worker) abandon(request uint64) {
	if !w.unique.CompareAndSwap(request, abandoned) {
		return
	}
	message := fuse.OutHeader{Length: uint32(outHeaderSize), Status: -int32(unix.EINTR), Unique: request}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&message)), outHeaderSize)
	_ = w.c.use(func(device int) error { return write(device, bytes) }) // ENOENT: it has been unmounted
}

// awaitAbandoned waits until no abandoned request is in work on a node. The client has
// no more use for its file then, and the kernel says that it can be closed; but what is
// still done with it must not find it closed, or its descriptor to be another file's.
func (r *roster) awaitAbandoned(node uint64) {
	const pause = 10 * time.Millisecond
	for r.abandonedOn(node) {
		time.Sleep(pause)
	}
}

func (r *roster) abandonedOn(node uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.all, func(w *worker) bool {
		return w.unique.Load() == abandoned && (w.nodes[0].Load() == node || w.nodes[1].Load() == node)
	})
}

// killed tells whether a thread has SIGKILL pending, as every thread of a process
// has that is ended by whatever signal (complete_signal of kernel/signal.c). Of a
// thread that cannot be seen, in another PID namespace, it knows nothing.
func killed(thread uint32) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return false
	}
	const fatal = 1 << (unix.SIGKILL - 1)
	for line := range strings.Lines(string(status)) {
		if name, mask, _ := strings.Cut(line, ":"); name == "SigPnd" || name == "ShdPnd" {
			pending, _ := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			if pending&fatal != 0 {
				return true
			}
		}
	}
	return false
}

// undo takes back what an answer would have given the client, which has gone:
// otherwise a file would be open, or a file known, for as long as the mount lives.
func (w *worker) undo() {
	if w.outHeader().Status != 0 {
		return
	}
	entry := (*fuse.EntryOut)(unsafe.Pointer(&w.out[outHeaderSize]))
	open := (*fuse.OpenOut)(unsafe.Pointer(&w.out[outHeaderSize]))
	created := (*fuse.CreateOut)(unsafe.Pointer(&w.out[outHeaderSize]))
	switch w.header().Opcode {
	case opOpen:
		w.c.fs.Release(nil, w.release(w.header().NodeId, open.Fh))
	case opOpendir:
		w.c.fs.ReleaseDir(w.release(w.header().NodeId, open.Fh))
	case opCreate, opTmpfile:
		w.c.fs.Release(nil, w.release(created.EntryOut.NodeId, created.OpenOut.Fh))
		w.c.fs.Forget(created.EntryOut.NodeId, 1)
	case opLookup, opSymlink, opMknod, opMkdir, opLink:
		if entry.NodeId != 0 { // 0 says that there is nothing of that name
			w.c.fs.Forget(entry.NodeId, 1)
		}
	}
}

func (w *worker) release(node, handle uint64) *fuse.ReleaseIn {
	in := &fuse.ReleaseIn{InHeader: fuse.InHeader(*w.header()), Fh: handle}
	in.NodeId = node
	return in
}
