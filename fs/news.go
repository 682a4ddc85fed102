package fs

import (
	"path"
	"strings"
	"sync"
)

// News are places whose volume has changed, on their way to the kernel.
//
// They are told by one goroutine, and never by the handler that found them out:
// the kernel holds a lock on a directory while it waits for a handler's answer,
// and wants the same lock to forget an entry of it. Each that waits so has a
// thread to itself, so it must not be one for each volume.
type news struct {
	each func(place string)

	mu      sync.Mutex
	places  map[string]bool
	telling bool
}

// tell takes places in and returns at once.
func (n *news) tell(places ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, place := range places {
		n.places[place] = true
	}
	if len(n.places) > 0 && !n.telling {
		n.telling = true
		go n.tellAll()
	}
}

func (n *news) tellAll() {
	for place, ok := n.next(); ok; place, ok = n.next() {
		n.each(place)
	}
}

// next takes a place out. When there is none, the goroutine that asks ends.
func (n *news) next() (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for place := range n.places {
		delete(n.places, place)
		return place, true
	}
	n.telling = false
	return "", false
}

// announce tells the kernel that another volume is at a place now, or none, and
// the log where that is one too many.
func (m *mirror) announce(place string) {
	m.log.Debug("volume changed", "volume", place)
	m.forget(place)
	m.warnOfTwin(place)
}

// forget makes the kernel forget what it knows at a place.
func (m *mirror) forget(place string) {
	parent := m.root
	names := strings.Split(place, "/")
	for _, name := range names[:len(names)-1] {
		if parent = m.inodes.child(parent, name); parent == nil {
			return
		}
	}
	name := path.Base(place)
	child := m.inodes.child(parent, name)
	if child == nil {
		return
	}
	if m.tree.exists(place) || !m.kernel.DeleteNotify(parent.nodeID, child.nodeID, name).Ok() {
		_ = m.kernel.EntryNotify(parent.nodeID, name) // ENOENT: the kernel knows nothing of it
	}
}
