package fs

import (
	"iter"
	"sync"
	"sync/atomic"
)

// handles are open files, or open directories, by the numbers that the kernel calls
// them by.
//
// The numbers are small, and given again when a file is closed. So a slice will do,
// which is replaced by a longer one when it has to grow: reading and writing takes no
// lock.
type handles[T any] struct {
	mu    sync.Mutex // held for changes
	slots atomic.Pointer[[]atomic.Pointer[T]]
	free  []uint64 // handles that were given and taken back
	used  uint64   // handles below are used or free; 0 is never given
}

// get returns what has a handle, nil if there is nothing.
func (h *handles[T]) get(handle uint64) *T {
	if slots := h.slots.Load(); slots != nil && handle < uint64(len(*slots)) {
		return (*slots)[handle].Load()
	}
	return nil
}

// add gives a handle.
func (h *handles[T]) add(open *T) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	var handle uint64
	if last := len(h.free) - 1; last >= 0 {
		handle, h.free = h.free[last], h.free[:last]
	} else {
		h.used++
		handle = h.used
	}
	h.slot(handle).Store(open)
	return handle
}

// remove takes a handle back and returns what had it.
func (h *handles[T]) remove(handle uint64) *T {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.get(handle) == nil {
		return nil
	}
	h.free = append(h.free, handle)
	return h.slot(handle).Swap(nil)
}

// all are the handles that are given, and what has them.
func (h *handles[T]) all() iter.Seq2[uint64, *T] {
	return func(yield func(uint64, *T) bool) {
		for handle := range h.used + 1 {
			if open := h.get(handle); open != nil && !yield(handle, open) {
				return
			}
		}
	}
}

// restore gives handles that were given by another process.
func (h *handles[T]) restore(open map[uint64]*T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for handle, open := range open {
		h.slot(handle).Store(open)
		h.used = max(h.used, handle)
	}
	for handle := uint64(1); handle <= h.used; handle++ {
		if open[handle] == nil {
			h.free = append(h.free, handle)
		}
	}
}

// slot is where a handle's file stands.
func (h *handles[T]) slot(handle uint64) *atomic.Pointer[T] {
	slots := h.slots.Load()
	if slots == nil || handle >= uint64(len(*slots)) {
		slots = longer(slots, handle)
		h.slots.Store(slots)
	}
	return &(*slots)[handle]
}

// longer returns a copy of slots with room for a handle, and for as many again.
func longer[T any](slots *[]atomic.Pointer[T], handle uint64) *[]atomic.Pointer[T] {
	grown := make([]atomic.Pointer[T], 2*handle+16)
	if slots != nil {
		for i := range *slots {
			grown[i].Store((*slots)[i].Load())
		}
	}
	return &grown
}

// openFiles are the open files of a node, for requests that do not say by which one
// they come: none is closed while it is used.
type openFiles struct {
	mu   sync.RWMutex
	open []*file
}

func (o *openFiles) add(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = append(o.open, f)
}

func (o *openFiles) remove(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, open := range o.open {
		if open == f {
			o.open = append(o.open[:i], o.open[i+1:]...)
			return
		}
	}
}

// use calls with one of the files; false says that there is none.
func (o *openFiles) use(with func(*file)) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if len(o.open) == 0 {
		return false
	}
	with(o.open[0])
	return true
}
