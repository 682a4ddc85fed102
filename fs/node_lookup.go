package fs

import (
	"context"
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

var _ = (gofuse.NodeLookuper)((*node)(nil))

// Lookup finds name in a directory: a volume, a place that leads to one, or
// what the directory's own volume has there.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofuse.Inode, syscall.Errno) {
	child, err := n.lookup(ctx, name, out)
	return child, n.mirror.errno("lookup", n, err)
}

func (n *node) lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofuse.Inode, error) {
	if n.isPlace {
		place := join(n.place, name)
		if n.mirror.sync(place) {
			return n.lookupPlace(ctx, place, out)
		}
	}
	vol := n.volume()
	if vol == nil || n.hides(name) {
		return nil, syscall.ENOENT
	}
	var child *gofuse.Inode
	err := n.with(vol, func(dir int) (err error) {
		child, err = n.child(ctx, vol, dir, name, out)
		return err
	})
	return child, err
}

// lookupPlace makes the inode of a volume's own directory, or of one that leads
// to volumes.
func (n *node) lookupPlace(ctx context.Context, place string, out *fuse.EntryOut) (*gofuse.Inode, error) {
	found := &node{mirror: n.mirror, vol: n.mirror.tree.volume(place), place: place, isPlace: true}
	s, err := found.glance()
	if err != nil {
		return nil, err
	}
	found.id = s.id
	return n.inode(ctx, found, s, out), nil
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
	root, err := vol.openRoot()
	if err != nil {
		return status{}, err
	}
	defer unix.Close(root)
	s, err = statAt(root, "")
	if vol.Automount != "" {
		s.id = fileID{}
	}
	return s, err
}

// hides tells whether the source keeps name in this directory from clients.
func (n *node) hides(name string) bool { return n.isTop() && n.mirror.source.Hides(name) }

// isVolume tells whether name in this directory is a volume or leads to one.
func (n *node) isVolume(name string) bool {
	return n.isPlace && n.mirror.sync(join(n.place, name))
}
