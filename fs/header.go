package fs

import (
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// A header guards the first vdi.HeaderSize bytes of one backing file, by
// whichever volume, node or descriptor it is reached. It exists while a file is
// open.
//
// The stored header is presented by [vdi.Mask.Present], which undoes itself, so
// every change is the same: present what is stored, apply to that what the
// client asked for, and present the outcome once more to get what to store.
// Whether bytes are a header at all depends on their content and number, so
// that holds for a change of the size as well: as long as a file is shorter
// than a header, growing it may turn it into an image.
type header struct {
	// mu is held by whatever reads or changes the header, or the size of a
	// file that is or becomes shorter than one.
	mu sync.Mutex

	// whole is set while the file is known to have all vdi.HeaderSize bytes.
	// What is read or written beyond them needs no lock then. The kernel
	// lets no write that extends a file run beside a truncation of it, so
	// whole cannot be lost under such a write, unless the truncation comes
	// by another volume or from behind the mount, to less than a header.
	whole atomic.Bool

	refs int // guarded by headers.mu
}

// headers are the headers of all open files, by backing file.
type headers struct {
	mu     sync.Mutex
	byFile map[fileKey]*header
}

// A fileKey names a backing file among all that are open on this host.
type fileKey struct{ dev, ino uint64 }

func (h *headers) acquire(key fileKey) *header {
	h.mu.Lock()
	defer h.mu.Unlock()
	shared := h.byFile[key]
	if shared == nil {
		shared = &header{}
		h.byFile[key] = shared
	}
	shared.refs++
	return shared
}

func (h *headers) release(key fileKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	shared := h.byFile[key]
	if shared.refs--; shared.refs == 0 {
		delete(h.byFile, key)
	}
}

// load reads the stored header: fewer than vdi.HeaderSize bytes where the file
// is shorter. The caller holds mu.
func (h *header) load(fd int) ([]byte, error) {
	stored := make([]byte, vdi.HeaderSize)
	n, err := preadFull(fd, stored, 0)
	if err != nil {
		return nil, err
	}
	h.whole.Store(n == vdi.HeaderSize)
	return stored[:n], nil
}

// loadQuietly is loadPresented for the daemon's own purposes: a client that
// only writes has not accessed the file, in the sense of its access time.
func (h *header) loadQuietly(fd int, mask vdi.Mask) (stored, presented []byte, err error) {
	err = withoutAccess(fd, func() error {
		stored, presented, err = h.loadPresented(fd, mask)
		return err
	})
	return stored, presented, err
}

// loadPresented is load and what a client sees of it.
func (h *header) loadPresented(fd int, mask vdi.Mask) (stored, presented []byte, err error) {
	stored, err = h.load(fd)
	if err != nil {
		return nil, nil, err
	}
	presented = append(make([]byte, 0, vdi.HeaderSize), stored...)
	mask.Present(presented)
	return stored, presented, nil
}

// change runs an operation on the backing file that goes round writeHeader, and
// then corrects the stored header. Effect does to the first bytes of a file, at
// most vdi.HeaderSize, what the operation does; it may change the slice that it
// is given. Where the operation fails nothing else is done.
func (h *header) change(fd int, mask vdi.Mask, operation func() error, effect func([]byte) []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	stored, want, err := h.loadQuietly(fd, mask)
	if err != nil {
		return err
	}
	if err := operation(); err != nil {
		return err
	}
	stored, want = effect(stored), effect(want)
	h.whole.Store(len(stored) == vdi.HeaderSize)
	mask.Present(want)
	from, to := span(stored, want)
	n, err := pwritevFull(fd, [][]byte{want[from:to]}, int64(from))
	if err == nil && n < to-from {
		err = io.ErrShortWrite
	}
	return err
}

// resize returns b cut or filled with zeros to a size of at most vdi.HeaderSize.
func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

// preadFull reads until buf is full or the file ends, and returns how much it
// read.
func preadFull(fd int, buf []byte, off int64) (int, error) {
	done := 0
	for done < len(buf) {
		n, err := retry2(func() (int, error) { return unix.Pread(fd, buf[done:], off+int64(done)) })
		if err != nil {
			return done, err
		}
		if n == 0 {
			break
		}
		done += n
	}
	return done, nil
}

// span returns the smallest range [from, to) in which want differs from what is
// stored, where bytes that are not stored count as zeros, or 0, 0.
func span(stored, want []byte) (from, to int) {
	for i, b := range want {
		var old byte
		if i < len(stored) {
			old = stored[i]
		}
		if b == old {
			continue
		}
		if to == 0 {
			from = i
		}
		to = i + 1
	}
	return from, to
}
