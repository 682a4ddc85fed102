package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Lookup finds name in a directory: a volume, a place that leads to one, or
// what the directory's own volume has there.
func (n *node) Lookup(name string, out *fuse.EntryOut) (*node, syscall.Errno) {
	child, err := n.lookup(name, out)
	return child, n.mirror.errno("lookup", n, err)
}

func (n *node) lookup(name string, out *fuse.EntryOut) (*node, error) {
	if n.isPlace {
		place := join(n.place, name)
		if n.mirror.sync(place) {
			return n.lookupPlace(place, out)
		}
	}
	vol := n.volume()
	if vol == nil || n.hides(name) {
		return nil, syscall.ENOENT
	}
	var child *node
	err := n.with(vol, func(dir int) (err error) {
		child, err = n.child(vol, dir, name, out)
		return err
	})
	return child, err
}

// lookupPlace makes the node of a volume's own directory, or of one that leads
// to volumes.
func (n *node) lookupPlace(place string, out *fuse.EntryOut) (*node, error) {
	found := &node{mirror: n.mirror, vol: n.mirror.tree.volume(place), place: place, isPlace: true}
	s, err := found.glance()
	if err != nil {
		return nil, err
	}
	found.id = s.id
	found.setAttr(s, &out.Attr)
	if found.vol == nil || found.vol.Automount == "" {
		out.SetEntryTimeout(placesAge)
	}
	return found, nil
}

// rootStatus says what a place looks like: as the root of its volume does, or
// as an empty directory that belongs to whoever mounted.
func (n *node) rootStatus() (s status, err error) {
	vol := n.volume()
	if vol == nil {
		return n.mirror.emptyDirectory(), nil
	}
	if s := vol.entered.Load(); s != nil && !vol.gone.Load() {
		return *s, nil
	}
	return vol.status()
}

// hides tells whether the source keeps name in this directory from clients.
func (n *node) hides(name string) bool { return n.isTop() && n.mirror.source.Hides(name) }

// isVolume tells whether name in this directory is a volume or leads to one.
func (n *node) isVolume(name string) bool {
	return n.isPlace && n.mirror.sync(join(n.place, name))
}
