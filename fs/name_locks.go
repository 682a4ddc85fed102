package fs

import "sync"

// nameLocks keep a lookup in a directory apart from what removes or replaces
// names there. The kernel does not: it looks a name that it knows up again
// without the directory's lock. What a handler finds and what is then noted
// (see inodes) must be one step, or a lookup that was overtaken by a rename puts
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

// writeBoth locks two directories, which may be one, in an order that is the same for
// everybody.
func (n *nameLocks) writeBoth(one, other uint64) (unlock func()) {
	if one == other {
		return n.write(one)
	}
	first, second := n.write(min(one, other)), n.write(max(one, other))
	return func() {
		second()
		first()
	}
}
