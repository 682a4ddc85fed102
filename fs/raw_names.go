package fs

import (
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// nameLocks keep a lookup in a directory apart from what removes or replaces
// names there. The kernel does not: it looks a name that it knows up again
// without the directory's lock. What a handler finds and what go-fuse then notes
// in its tree must be one step, or a lookup that was overtaken by a rename puts
// the old file back under the name, and nothing leads to the new one.
//
// They are taken around the handlers, by node ID, and cost a slow directory
// nobody else's time.
type nameLocks struct {
	mu    sync.Mutex
	byDir map[uint64]*nameLock
}

type nameLock struct {
	sync.RWMutex
	users int // guarded by nameLocks.mu
}

func (n *nameLocks) acquire(dir uint64) *nameLock {
	n.mu.Lock()
	defer n.mu.Unlock()
	lock := n.byDir[dir]
	if lock == nil {
		lock = &nameLock{}
		n.byDir[dir] = lock
	}
	lock.users++
	return lock
}

func (n *nameLocks) release(dir uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byDir[dir].users--; n.byDir[dir].users == 0 {
		delete(n.byDir, dir)
	}
}

// read locks a directory for a lookup.
func (n *nameLocks) read(dir uint64) (unlock func()) {
	lock := n.acquire(dir)
	lock.RLock()
	return func() {
		lock.RUnlock()
		n.release(dir)
	}
}

// write locks a directory for a change of its names.
func (n *nameLocks) write(dir uint64) (unlock func()) {
	lock := n.acquire(dir)
	lock.Lock()
	return func() {
		lock.Unlock()
		n.release(dir)
	}
}

// Lookup looks up while no name in the directory changes.
func (r *raw) Lookup(cancel <-chan struct{}, header *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	defer r.names.read(header.NodeId)()
	return r.RawFileSystem.Lookup(cancel, header, name, out)
}

// Unlink keeps lookups out.
func (r *raw) Unlink(cancel <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	defer r.names.write(header.NodeId)()
	return r.RawFileSystem.Unlink(cancel, header, name)
}

// Rmdir keeps lookups out, unless it may be to destroy a volume: that takes long,
// and all paths on the mount begin at the top.
func (r *raw) Rmdir(cancel <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	if header.NodeId != fuse.FUSE_ROOT_ID {
		defer r.names.write(header.NodeId)()
	}
	return r.RawFileSystem.Rmdir(cancel, header, name)
}

// Rename keeps lookups out of both directories, unless it may be to rename a
// volume.
func (r *raw) Rename(cancel <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	if r.managed && in.NodeId == fuse.FUSE_ROOT_ID && in.Newdir == fuse.FUSE_ROOT_ID {
		return r.RawFileSystem.Rename(cancel, in, oldName, newName)
	}
	first, second := min(in.NodeId, in.Newdir), max(in.NodeId, in.Newdir)
	defer r.names.write(first)()
	if second != first {
		defer r.names.write(second)()
	}
	return r.RawFileSystem.Rename(cancel, in, oldName, newName)
}
