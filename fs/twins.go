package fs

import (
	"slices"
	"sync"

	"github.com/clonefs/clonefs/vdi"
)

// twins remembers which volumes with one and the same identity the log has told of.
type twins struct {
	mu   sync.Mutex
	told map[[3]string]bool // identity, and two names in order
}

// first tells whether it is asked of these two volumes for the first time.
func (t *twins) first(identity, name, other string) bool {
	pair := [3]string{identity, min(name, other), max(name, other)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told[pair] {
		return false
	}
	t.told[pair] = true
	return true
}

// warnOfTwin tells, once, that another volume has the identity of the one at a
// place: a name that was pinned twice, or a snapshot and what was received of it.
// That volumes present their UUIDs as they are stored is no coincidence.
func (m *mirror) warnOfTwin(place string) {
	v := m.tree.volume(place)
	if v == nil || v.Identity == vdi.Original {
		return
	}
	for _, other := range m.tree.twins(v) {
		// A volume that was renamed may still be known by its old name, too.
		now, ok := m.source.Volume(other)
		if !ok || now.Identity != v.Identity {
			continue
		}
		if m.twins.first(v.Identity, place, other) {
			m.log.Warn("two volumes have the same identity: of images that have a UUID in common VirtualBox takes only one",
				"volume", shown(place), "other", shown(other), "identity", v.Identity)
		}
		return
	}
}

// twins returns the places of the other volumes with v's identity, sorted.
func (t *tree) twins(v *volume) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var places []string
	for place := range t.places[v.Identity] {
		if place != v.Name {
			places = append(places, place)
		}
	}
	slices.Sort(places)
	return places
}

// shown is a volume's name for people: the top's is a dot.
func shown(name string) string {
	if name == "" {
		return "."
	}
	return name
}
