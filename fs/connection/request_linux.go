package connection

import (
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// What stands before the data of a request or an answer, in bytes
// (include/uapi/linux/fuse.h). Numbers are in the machine's own byte order.
const (
	inHeaderSize  = int(unsafe.Sizeof(fuse.InHeader{}))
	readInSize    = int(unsafe.Sizeof(fuse.ReadIn{}))
	writeInSize   = int(unsafe.Sizeof(fuse.WriteIn{}))
	outHeaderSize = int(unsafe.Sizeof(fuse.OutHeader{}))
	writeOutSize  = int(unsafe.Sizeof(fuse.WriteOut{}))
)

// The opcodes that this package looks at (enum fuse_opcode of linux/fuse.h).
const (
	opLookup        = 1
	opForget        = 2
	opSymlink       = 6
	opMknod         = 8
	opMkdir         = 9
	opLink          = 13
	opOpen          = 14
	opRead          = 15
	opWrite         = 16
	opRelease       = 18
	opOpendir       = 27
	opReleasedir    = 29
	opCreate        = 35
	opInterrupt     = 36
	opBatchForget   = 42
	opCopyFileRange = 47
	opTmpfile       = 51
)

// A header begins every request.
type header fuse.InHeader

func (w *worker) header() *header { return (*header)(unsafe.Pointer(&w.in[0])) }

// unanswered tells whether the kernel expects no answer.
func (h *header) unanswered() bool { return h.Opcode == opForget || h.Opcode == opBatchForget }

// answer does what the request of n bytes asks for.
func (w *worker) answer(n int) {
	h := w.header()
	w.begin(h)
	switch {
	case h.Opcode == opInterrupt:
		w.interrupt(n)
	case h.Opcode == opRelease || h.Opcode == opReleasedir:
		w.c.workers.awaitAbandoned(h.NodeId)
		w.answerOther(n)
	case w.c.options.Debug: // go-fuse shows requests
		w.answerOther(n)
	case h.Opcode == opRead && n >= readInSize && w.fits(w.readIn().Size):
		w.answerRead()
	case h.Opcode == opWrite && n >= writeInSize:
		w.answerWrite(n)
	default:
		w.answerOther(n)
	}
	w.unique.Store(0)
}

// begin says what is in work, the number last.
func (w *worker) begin(h *header) {
	w.opcode.Store(h.Opcode)
	w.client.Store(h.Pid)
	w.nodes[0].Store(h.NodeId)
	w.nodes[1].Store(w.secondNode(h))
	w.unique.Store(h.Unique)
}

// secondNode is the node of the file that is copied to.
func (w *worker) secondNode(h *header) uint64 {
	if h.Opcode != opCopyFileRange {
		return 0
	}
	return (*fuse.CopyFileRangeIn)(unsafe.Pointer(&w.in[0])).NodeIdOut
}

func (w *worker) readIn() *fuse.ReadIn   { return (*fuse.ReadIn)(unsafe.Pointer(&w.in[0])) }
func (w *worker) writeIn() *fuse.WriteIn { return (*fuse.WriteIn)(unsafe.Pointer(&w.in[0])) }

// fits tells whether there is room for that much data in an answer.
func (w *worker) fits(size uint32) bool { return int64(size) <= int64(len(w.out)-outHeaderSize) }

func (w *worker) answerRead() {
	in := w.readIn()
	if w.answerSpliced(in) {
		return
	}
	n, status := w.protected(func() (int, fuse.Status) {
		return w.c.fs.ReadFile(in, w.out[outHeaderSize:][:in.Size])
	})
	w.reply(status, n)
}

func (w *worker) answerWrite(n int) {
	in := w.writeIn()
	size, status := w.protected(func() (int, fuse.Status) {
		return w.c.fs.WriteFile(in, w.in[writeInSize:n])
	})
	*(*fuse.WriteOut)(unsafe.Pointer(&w.out[outHeaderSize])) = fuse.WriteOut{Size: uint32(size)}
	w.reply(status, writeOutSize)
}

// protected turns a panic into an error, as go-fuse does for other requests.
func (w *worker) protected(do func() (int, fuse.Status)) (n int, status fuse.Status) {
	defer func() {
		if p := recover(); p != nil {
			n, status = 0, w.c.options.PanicHandler(p)
		}
	}()
	return do()
}

// answerOther leaves the request to go-fuse.
func (w *worker) answerOther(n int) {
	size, status := w.passOn(n)
	switch {
	case !status.Ok():
		w.reply(status, 0)
	case size > 0 && !w.send(size):
		w.undo()
	}
}

// passOn lets go-fuse answer: with size bytes in out, 0 if there is no answer.
func (w *worker) passOn(n int) (size int, status fuse.Status) {
	return w.c.protocol.HandleRequest([][]byte{w.in[:n]}, [][]byte{w.out})
}

// reply answers with a status, and where that is OK with size bytes of data,
// which stand in their place already.
func (w *worker) reply(status fuse.Status, size int) {
	if !status.Ok() {
		size = 0
	}
	*w.outHeader() = fuse.OutHeader{Length: uint32(outHeaderSize + size), Status: -int32(status), Unique: w.header().Unique}
	w.send(outHeaderSize + size)
}

func (w *worker) outHeader() *fuse.OutHeader { return (*fuse.OutHeader)(unsafe.Pointer(&w.out[0])) }
