package fs

import (
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// inodes are the nodes that the kernel knows, by the numbers that it calls them by,
// and the names by which it has come to them.
//
// A node lives from its first lookup until the kernel has forgotten it as often as it
// has looked it up, and until the last name below it is gone: the path of what is
// below leads through it. Its number is never given again, so a generation, which
// would tell two nodes with one number apart, is always the same.
type inodes struct {
	mu    sync.RWMutex
	byID  map[uint64]*node
	byKey map[nodeKey]*node
	last  uint64 // the number that was given last
}

// A nodeKey tells what a node stands for from all else that the mount has ever had,
// as far as the file system below lets us: two lookups of one thing are one node.
type nodeKey struct {
	instance uint64 // of the volume, 0 without one
	id       fileID
	place    string // of what is a place
	isPlace  bool
}

// An alias is a name that a node has in a directory.
type alias struct {
	dir  *node
	name string
}

// known is what is known of a node by others; see inodes, whose mu guards it.
type known struct {
	nodeID   uint64 // the number, 0 if the kernel does not know the node
	lookups  uint64
	aliases  []alias // in the order in which they were looked up
	children map[string]*node
}

func newInodes(top *node) *inodes {
	top.nodeID = fuse.FUSE_ROOT_ID
	return &inodes{
		byID:  map[uint64]*node{fuse.FUSE_ROOT_ID: top},
		byKey: map[nodeKey]*node{},
		last:  fuse.FUSE_ROOT_ID,
	}
}

func (n *node) key() nodeKey {
	key := nodeKey{id: n.id, place: n.place, isPlace: n.isPlace}
	if n.vol != nil {
		key.instance = n.vol.instance
	}
	return key
}

// node returns the node with a number, nil if there is none.
func (t *inodes) node(number uint64) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[number]
}

// has tells whether the kernel knows a node.
func (t *inodes) has(n *node) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[n.nodeID] == n
}

// enter notes that the kernel will know found by a name, "" for no name, and returns
// the node that it will know: the one that it has of the same thing already, or found.
// What is new, because it has just been made, gets a node of its own: another thing that
// is gone may have left it its key.
func (t *inodes) enter(dir *node, name string, found *node, isNew bool) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := found.key()
	entered := t.byKey[key]
	if entered == nil || isNew {
		entered = found
		t.last++
		entered.nodeID = t.last
		t.byID[entered.nodeID], t.byKey[key] = entered, entered
	}
	entered.lookups++
	if name != "" {
		t.setName(dir, name, entered)
	}
	return entered
}

// setName makes name in dir one of n's, the latest, and no other node's.
func (t *inodes) setName(dir *node, name string, n *node) {
	switch old := dir.children[name]; {
	case old == n: // or else others would stay later than this one
		n.aliases = slices.DeleteFunc(n.aliases, func(a alias) bool { return a == alias{dir, name} })
	case old != nil:
		t.removeName(dir, name)
	}
	if dir.children == nil {
		dir.children = map[string]*node{}
	}
	dir.children[name] = n
	n.aliases = append(n.aliases, alias{dir, name})
}

// removeName removes a name, and returns whose it was.
func (t *inodes) removeName(dir *node, name string) *node {
	n := dir.children[name]
	if n != nil {
		delete(dir.children, name)
		n.aliases = slices.DeleteFunc(n.aliases, func(a alias) bool { return a == alias{dir, name} })
	}
	return n
}

// remove is told that a name is gone, and returns whether the node that had it has
// no other.
func (t *inodes) remove(dir *node, name string) (nameless bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.removeName(dir, name)
	return n != nil && len(n.aliases) == 0
}

// rename is told that a name has become another, in place of what had that, or that
// the two have been exchanged.
func (t *inodes) rename(dir *node, name string, to *node, newName string, exchange bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	moved, replaced := t.removeName(dir, name), t.removeName(to, newName)
	if moved != nil {
		t.setName(to, newName, moved)
	}
	if exchange && replaced != nil {
		t.setName(dir, name, replaced)
	}
}

// forget is told that the kernel has forgotten so many lookups of a node, and returns
// the nodes that are no more.
func (t *inodes) forget(number, lookups uint64) (gone []*node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[number]
	if n == nil {
		return nil
	}
	n.lookups -= min(n.lookups, lookups)
	return t.sweep(n)
}

// sweep drops a node that nobody needs any more, and those above it that were kept
// for its sake.
func (t *inodes) sweep(n *node) (gone []*node) {
	if n.lookups > 0 || len(n.children) > 0 || n.nodeID == fuse.FUSE_ROOT_ID || t.byID[n.nodeID] != n {
		return nil
	}
	delete(t.byID, n.nodeID)
	if t.byKey[n.key()] == n {
		delete(t.byKey, n.key())
	}
	gone = []*node{n}
	for _, a := range slices.Clone(n.aliases) {
		t.removeName(a.dir, a.name)
		gone = append(gone, t.sweep(a.dir)...)
	}
	return gone
}

// child returns the node that has a name in a directory, nil if the kernel knows none.
func (t *inodes) child(dir *node, name string) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return dir.children[name]
}

// parent returns the directory that a node was last looked up in, nil if it has no
// name.
func (t *inodes) parent(n *node) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if last := len(n.aliases) - 1; last >= 0 {
		return n.aliases[last].dir
	}
	return nil
}

// path returns the path of a node beneath its volume's root, "" for the root. A node
// with several names has the one that was looked up last; a node that was removed has
// none, which is ESTALE.
func (t *inodes) path(n *node) (string, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var names []string
	for !n.isPlace {
		last := len(n.aliases) - 1
		// Directories that are moved behind the mount while they are looked up may
		// seem to lie in one another.
		if last < 0 || len(names) > len(t.byID) {
			return "", syscall.ESTALE
		}
		names = append(names, n.aliases[last].name)
		n = n.aliases[last].dir
	}
	slices.Reverse(names)
	return strings.Join(names, "/"), nil
}
