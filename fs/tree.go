package fs

import (
	"math"
	"path"
	"sync"

	"github.com/clonefs/clonefs/vdi"
)

// A tree keeps volumes by their place: the slash-separated path beneath the
// mount point, "" for the top. Every prefix of a place exists too, as a volume
// of its own or as a directory that only leads to volumes.
type tree struct {
	serial vdi.GuestSerial

	mu        sync.RWMutex
	volumes   map[string]*volume
	children  map[string]map[string]bool // names directly below a place
	places    map[string]map[string]bool // of the volumes with an identity
	instances uint64
}

func newTree(serial vdi.GuestSerial) *tree {
	return &tree{
		serial:  serial,
		volumes: map[string]*volume{}, children: map[string]map[string]bool{}, places: map[string]map[string]bool{},
	}
}

// volume returns the volume at a place, nil where there is none.
func (t *tree) volume(place string) *volume {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.volumes[place]
}

// exists tells whether there is a volume at a place or below it.
func (t *tree) exists(place string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.existsLocked(place)
}

func (t *tree) existsLocked(place string) bool {
	return place == "" || t.volumes[place] != nil || len(t.children[place]) > 0
}

// names returns the names directly below a place that lead to volumes.
func (t *tree) names(place string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	names := make([]string, 0, len(t.children[place]))
	for name := range t.children[place] {
		names = append(names, name)
	}
	return names
}

// put makes v the volume at its place and tells whether that changed anything.
func (t *tree) put(v Volume) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.putLocked(v)
}

func (t *tree) putLocked(v Volume) bool {
	if old := t.volumes[v.Name]; old != nil {
		same := v
		same.ReadOnly = old.ReadOnly
		if old.Volume == same || old.mustStay(same) {
			old.readOnly.Store(v.ReadOnly)
			return false
		}
		old.gone.Store(true)
		remove(t.places, old.Identity, v.Name)
	}
	t.instances++
	t.setLocked(newVolume(v, t.serial, t.instances))
	return true
}

// setLocked puts a volume at its place, where none is.
func (t *tree) setLocked(v *volume) {
	add(t.places, v.Identity, v.Name)
	t.volumes[v.Name] = v
	for place := v.Name; place != ""; place = parentOf(place) {
		add(t.children, parentOf(place), path.Base(place))
	}
}

// mustStay tells whether now is the same file system with another identity
// while files are open: a UUID never changes under an open file. The volume is
// then put again when the last file is closed.
func (v *volume) mustStay(now Volume) bool {
	now.Identity = v.Identity
	stay := v.Volume == now && v.open.Load() > 0
	v.outdated.Store(stay)
	return stay
}

// add and remove change a map of sets, in which no set is empty.
func add(sets map[string]map[string]bool, key, member string) {
	if sets[key] == nil {
		sets[key] = map[string]bool{}
	}
	sets[key][member] = true
}

func remove(sets map[string]map[string]bool, key, member string) {
	delete(sets[key], member)
	if len(sets[key]) == 0 {
		delete(sets, key)
	}
}

// drop forgets the volume at a place and tells whether there was one.
func (t *tree) drop(place string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropLocked(place)
}

func (t *tree) dropLocked(place string) bool {
	if t.volumes[place] == nil {
		return false
	}
	t.volumes[place].gone.Store(true)
	remove(t.places, t.volumes[place].Identity, place)
	delete(t.volumes, place)
	for ; !t.existsLocked(place); place = parentOf(place) {
		remove(t.children, parentOf(place), path.Base(place))
	}
	return true
}

// replace makes now the whole content of the tree and returns the places whose
// volume is another one than before, or gone.
func (t *tree) replace(now []Volume) (changed []string) { return t.replaceAsOf(now, math.MaxUint64) }

// refresh is replace with what list returns. A volume that was put meanwhile stays:
// the list may have been made before there was one.
func (t *tree) refresh(list func() []Volume) (changed []string) {
	t.mu.RLock()
	asOf := t.instances
	t.mu.RUnlock()
	return t.replaceAsOf(list(), asOf)
}

// replaceAsOf leaves the volumes that have come after the instance asOf.
func (t *tree) replaceAsOf(now []Volume, asOf uint64) (changed []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := make(map[string]bool, len(now))
	for _, v := range now {
		seen[v.Name] = true
		if t.putLocked(v) {
			changed = append(changed, v.Name)
		}
	}
	for place, v := range t.volumes {
		if !seen[place] && v.instance <= asOf {
			t.dropLocked(place)
			changed = append(changed, place)
		}
	}
	return changed
}

// parentOf is path.Dir with "" for the top.
func parentOf(place string) string {
	if above := path.Dir(place); above != "." {
		return above
	}
	return ""
}
