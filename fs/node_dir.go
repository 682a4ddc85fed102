package fs

import (
	"sync"
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A directory is an open directory. The listing is taken when it is first read, and
// taken again when the client goes back to its start (rewinddir(3)); no descriptor is
// kept meanwhile. An offset in it is the number of entries before.
type directory struct {
	node *node

	mu      sync.Mutex
	listed  bool
	entries []fuse.DirEntry
}

// Readdir gives entries from an offset on to add, until that takes no more.
func (d *directory) Readdir(off uint64, add func(fuse.DirEntry) bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.listed || off == 0 {
		entries, err := d.node.list()
		if err != nil {
			return d.node.mirror.errno("readdir", d.node, err)
		}
		d.entries, d.listed = entries, true
	}
	for ; off < uint64(len(d.entries)); off++ {
		entry := d.entries[off]
		entry.Off = off + 1
		if !add(entry) {
			break
		}
	}
	return 0
}

// Fsyncdir brings the directory's entries to stable storage.
func (d *directory) Fsyncdir() syscall.Errno {
	n := d.node
	vol := n.volume()
	if vol == nil {
		return 0
	}
	fd, err := n.open(vol, unix.O_RDONLY|unix.O_DIRECTORY)
	if err == nil {
		err = retry(func() error { return unix.Fsync(fd) })
		unix.Close(fd)
	}
	return n.mirror.errno("fsyncdir", n, err)
}

// list returns what the directory holds: its volume's entries, and in front of
// those the volumes that have their place here.
func (n *node) list() ([]fuse.DirEntry, error) {
	var entries []fuse.DirEntry
	places := map[string]bool{}
	if n.isPlace {
		entries = n.listPlaces()
		for _, e := range entries {
			places[e.Name] = true
		}
	}
	vol := n.volume()
	if vol == nil {
		return entries, nil
	}
	own, err := n.listOwn(vol)
	if err != nil {
		return nil, err
	}
	for _, e := range own {
		if !places[e.Name] && !n.hides(e.Name) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// listPlaces lists the volumes directly below the node, and what leads to some.
func (n *node) listPlaces() []fuse.DirEntry {
	if n.isTop() || n.mirror.source.Leads(n.place) {
		n.mirror.refresh()
	}
	entries := dots(n)
	for _, name := range n.mirror.tree.names(n.place) {
		place := join(n.place, name)
		at := &node{mirror: n.mirror, vol: n.mirror.tree.volume(place), place: place, isPlace: true}
		// Of what cannot be looked at, the name is shown and a lookup says
		// why: a listing that lacks it would say that it is gone.
		if s, err := at.glance(); err != syscall.ESTALE {
			entries = append(entries, fuse.DirEntry{Name: name, Mode: unix.S_IFDIR, Ino: at.number(s.id)})
		}
	}
	return entries
}

// dots are the entries that every directory begins with.
func dots(n *node) []fuse.DirEntry {
	above := n.mirror.inodes.parent(n)
	if above == nil {
		above = n
	}
	return []fuse.DirEntry{
		{Name: ".", Mode: unix.S_IFDIR, Ino: n.number(n.id)},
		{Name: "..", Mode: unix.S_IFDIR, Ino: above.number(above.id)},
	}
}

// listOwn lists what the volume has in the directory, with the inode numbers
// that the mount shows.
func (n *node) listOwn(vol *volume) ([]fuse.DirEntry, error) {
	fd, err := n.open(vol, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	s, err := statAt(fd, "")
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	var entries []fuse.DirEntry
	if !n.isPlace {
		entries = dots(n)
	}
	crossings := n.crossings(vol)
	stream, errno := gofuse.NewLoopbackDirStreamFd(fd)
	if errno != 0 {
		unix.Close(fd)
		return nil, errno
	}
	defer stream.Close()
	for stream.HasNext() {
		e, errno := stream.Next()
		if errno != 0 {
			return nil, errno
		}
		if e.Name == "." || e.Name == ".." || crossings[e.Name] {
			continue
		}
		e.Ino = vol.inode(fileID{dev: s.id.dev, ino: e.Ino})
		entries = append(entries, e)
	}
	return entries, nil
}

// crossings are the names in the directory that a lookup does not find, because
// another file system is mounted there; see child.
func (n *node) crossings(vol *volume) map[string]bool {
	crosser, ok := n.mirror.source.(Crosser)
	if !ok {
		return nil
	}
	path, err := n.path()
	if err != nil {
		return nil
	}
	return crosser.Crossings(vol.Volume, path)
}
