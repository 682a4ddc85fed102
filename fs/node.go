package fs

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A node is what the kernel knows as an inode of the mount.
//
// It is one of three: an object in a volume; a volume's own directory, which
// has a place as well; or a place that only leads to volumes, which has no
// volume. The top of the mount has the place "" and whatever volume is there
// at the moment.
type node struct {
	known
	mirror *mirror

	vol *volume // nil at a place that only leads to volumes, and at the top
	id  fileID  // of the backing inode

	place   string // where it stands in the tree, if it does
	isPlace bool

	orphan atomic.Pointer[os.File] // what is left when the last name is removed

	cache   cache     // of a regular file
	backing backing   // likewise
	files   openFiles // likewise
}

// volume returns the volume that the node's files are in, nil if it has none.
func (n *node) volume() *volume {
	if n.isTop() {
		return n.mirror.tree.volume("")
	}
	return n.vol
}

// writable returns the node's volume if a client may change it.
func (n *node) writable() (*volume, error) {
	vol := n.volume()
	if vol == nil {
		return nil, errVirtual
	}
	if vol.readOnly.Load() || n.mirror.options.ReadOnly {
		return nil, errReadOnly
	}
	return vol, nil
}

// path returns the node's path beneath its volume's root; see inodes.
func (n *node) path() (string, error) { return n.mirror.inodes.path(n) }

// describe says in the log which node is meant.
func (n *node) describe() string {
	path, err := n.path()
	if err != nil {
		path = "(a removed file)"
	}
	if vol := n.volume(); vol != nil {
		return join("/"+vol.Name, path)
	}
	return "/" + n.place
}

// open opens the node's backing inode with flags of open(2). It returns ESTALE
// when another inode has taken its path behind the mount's back: the kernel
// then looks the path up again.
func (n *node) open(vol *volume, flags int) (int, error) {
	if orphan := n.orphan.Load(); orphan != nil {
		if fd, err := openOrphan(orphan, flags); !errors.Is(err, os.ErrClosed) {
			return fd, err // or else it has just got a name
		}
	}
	path, err := n.path()
	if err != nil {
		return -1, err
	}
	fd, err := vol.openBeneath(path)
	if err != nil {
		return -1, staleIfMissing(err)
	}
	if err := checkInode(fd, n.is); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return upgrade(fd, flags)
}

// checkInode returns ESTALE when fd names another inode than the one that is
// meant, and its own error when it cannot tell.
func checkInode(fd int, isMeant func(fileID) bool) error {
	s, err := statAt(fd, "")
	if err == nil && !isMeant(s.id) {
		err = syscall.ESTALE
	}
	return err
}

// upgrade opens what fd names with flags, and closes fd. Only what was looked at
// is opened: opening a fifo or a device that has taken its path would block, or
// do something.
func upgrade(fd, flags int) (int, error) {
	if flags&openPath != 0 {
		return fd, nil
	}
	defer unix.Close(fd)
	return retry2(func() (int, error) { return reopen(fd, flags) })
}

// is tells whether id is the node's backing inode. The top may change its, and an
// automounted root has none of its own.
func (n *node) is(id fileID) bool {
	return n.isTop() || n.isAutomount() || n.id == n.vol.identify(id)
}

// isAutomount tells whether the node is the root of an automounted volume.
func (n *node) isAutomount() bool { return n.isPlace && n.vol != nil && n.vol.Automount != "" }

// isTop tells whether the node is the mount's top directory.
func (n *node) isTop() bool { return n.isPlace && n.place == "" }

// pin opens the node only to name it (O_PATH): enough for all *at calls.
func (n *node) pin(vol *volume) (int, error) { return n.open(vol, openPath) }

// with pins the node in its volume while use runs.
func (n *node) with(vol *volume, use func(fd int) error) error {
	fd, err := n.pin(vol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return use(fd)
}

// change is with for an operation that changes something.
func (n *node) change(use func(fd int) error) error {
	vol, err := n.writable()
	if err != nil {
		return err
	}
	return n.with(vol, use)
}

// child makes the node for name in the directory that dir is a descriptor of.
func (n *node) child(vol *volume, dir int, name string, out *fuse.EntryOut) (*node, error) {
	s, err := statAt(dir, name)
	if err != nil {
		return nil, err
	}
	// Another file system that is mounted here is another volume, or none.
	if !vol.holds(s.id.dev) {
		return nil, syscall.ENOENT
	}
	found := &node{mirror: n.mirror, vol: vol, id: vol.identify(s.id)}
	found.setAttr(s, &out.Attr)
	return found, nil
}

// setAttr fills in what the mount says of a backing inode.
func (n *node) setAttr(s status, out *fuse.Attr) {
	*out = s.attr
	out.Ino = n.number(s.id)
	if top := n.mirror.options.Top; top != nil && n.isTop() {
		out.Owner = fuse.Owner{Uid: top.UID, Gid: top.GID}
		out.Mode = out.Mode&^0o7777 | top.Mode
	}
}

// number is the inode number that the mount shows for the node.
func (n *node) number(id fileID) uint64 {
	switch {
	case n.isTop():
		return rootInode
	case n.vol == nil:
		return plausible(hash("place", n.place))
	case n.isAutomount():
		return plausible(hash("automount", n.vol.Identity))
	default:
		return n.vol.inode(id)
	}
}
