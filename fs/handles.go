package fs

import (
	"sync"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// handles are the open files by the numbers that the kernel calls them by. go-fuse
// has such a table as well, and locks it for each request.
//
// Its numbers are small, and used again when a file is closed. So a slice will do,
// which is replaced by a longer one when it has to grow.
type handles struct {
	mu    sync.Mutex // held for changes
	files atomic.Pointer[[]atomic.Pointer[file]]
}

// file returns the file with a handle, nil if there is none.
func (h *handles) file(handle uint64) *file {
	if files := h.files.Load(); files != nil && handle < uint64(len(*files)) {
		return (*files)[handle].Load()
	}
	return nil
}

// set notes which file has a handle: none if f is nil.
func (h *handles) set(handle uint64, f *file) {
	h.mu.Lock()
	defer h.mu.Unlock()
	files := h.files.Load()
	if files == nil || handle >= uint64(len(*files)) {
		files = longer(files, handle)
		h.files.Store(files)
	}
	(*files)[handle].Store(f)
}

// longer returns a copy of files with room for a handle, and for as many again.
func longer(files *[]atomic.Pointer[file], handle uint64) *[]atomic.Pointer[file] {
	grown := make([]atomic.Pointer[file], 2*handle+16)
	if files != nil {
		for i := range *files {
			grown[i].Store((*files)[i].Load())
		}
	}
	return &grown
}

// self is what a file answers to a read of no bytes, which the kernel never sends:
// so we ask go-fuse's table which file a handle is.
type self struct {
	fuse.ReadResult
	file *file
}

// opened notes the file that go-fuse has given a handle, and says which stored file
// the kernel is to use for it.
func (r *raw) opened(node uint64, out *fuse.OpenOut) {
	result, status := r.Read(nil, &fuse.ReadIn{InHeader: fuse.InHeader{NodeId: node}, Fh: out.Fh}, nil)
	if me, ok := result.(self); ok && status.Ok() {
		r.handles.set(out.Fh, me.file)
		out.BackingID = me.file.backing
	}
}

// Open opens a file.
func (r *raw) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	status := r.RawFileSystem.Open(cancel, in, out)
	if status.Ok() {
		r.opened(in.NodeId, out)
	}
	return status
}

// Release closes a file; its handle is free as soon as go-fuse has heard of it.
func (r *raw) Release(cancel <-chan struct{}, in *fuse.ReleaseIn) {
	r.handles.set(in.Fh, nil)
	r.RawFileSystem.Release(cancel, in)
}
