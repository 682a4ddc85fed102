package fs

import (
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A file that lost its last name lives on while somebody uses it, and "use"
// includes the moment between a client's lookup and its open. Such a node keeps
// a descriptor (O_PATH), because no path leads to it any more. The kernel
// forgets the inode when its last user lets go, so the descriptor keeps the
// volume busy for as long as the client itself does, and no longer.

// A victim is a node that is about to lose a name.
type victim struct {
	node *node
	dir  *node
	name string
	file *os.File
}

// victim pins what name is in the directory, if the kernel knows it.
func (n *node) victim(dir int, name string) *victim {
	known := n.mirror.inodes.child(n, name)
	if known == nil {
		return nil
	}
	fd, err := openBeneath(dir, name, openPath)
	if err != nil {
		return nil
	}
	v := &victim{known, n, name, os.NewFile(uintptr(fd), name)}
	s, err := statAt(fd, "")
	if err != nil || !v.node.is(s.id) {
		discard(v.file)
		return nil
	}
	return v
}

// settle makes the victim an orphan if its name was removed and no other is known
// that leads to it.
func (v *victim) settle(removal error) {
	if v == nil {
		return
	}
	if inodes := v.node.mirror.inodes; removal == nil && inodes.remove(v.dir, v.name) {
		v.node.orphaned(v.file)
		if !inodes.has(v.node) {
			v.node.named() // the kernel has forgotten it meanwhile
		}
		return
	}
	discard(v.file)
}

// orphaned gives the node a descriptor in place of a path.
func (n *node) orphaned(f *os.File) {
	n.mirror.orphans.add(n)
	if former := n.orphan.Swap(f); former != nil {
		discard(former)
	}
}

// orphans are the removed files that somebody still uses, or that the kernel
// has not yet told us it forgot.
type orphans struct {
	mu    sync.Mutex
	nodes map[*node]bool
	freed atomic.Uint64 // counts those that have been let go
}

func (o *orphans) add(n *node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nodes[n] = true
}

func (o *orphans) remove(n *node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.freed.Add(1)
	delete(o.nodes, n)
}

func (o *orphans) any() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.nodes) > 0
}

// mayMakeRoom tells whether room that was not there may have come since freed was read,
// or is still to come. In this order: the last one may go meanwhile.
func (o *orphans) mayMakeRoom(freed uint64) bool { return o.any() || o.freed.Load() != freed }

// discard closes what is left when the mount has ended.
func (o *orphans) discard() {
	o.mu.Lock()
	left := slices.Collect(maps.Keys(o.nodes))
	o.mu.Unlock()
	for _, n := range left {
		n.named()
	}
}

// openOrphan opens a node without a name anew. The error is os.ErrClosed if it is
// no orphan any more.
func openOrphan(f *os.File, flags int) (fd int, err error) {
	conn, err := f.SyscallConn() // keeps others from closing f meanwhile
	if err != nil {
		return -1, err
	}
	closed := conn.Control(func(orphan uintptr) {
		if fd, err = unix.FcntlInt(orphan, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			fd, err = upgrade(fd, flags)
		}
	})
	if closed != nil {
		return -1, os.ErrClosed
	}
	return fd, err
}

// named says that a path leads to the node again, or that nobody needs one.
func (n *node) named() {
	if f := n.orphan.Swap(nil); f != nil {
		discard(f)
		n.mirror.orphans.remove(n)
	}
}

// discard closes a descriptor that only names an inode: nothing can be lost.
func discard(f *os.File) { _ = f.Close() }

// Tmpfile makes a file without a name (O_TMPFILE), which Link may give it.
func (n *node) Tmpfile(in *fuse.CreateIn, out *fuse.EntryOut) (f *file, errno syscall.Errno) {
	err := n.changeDir(func(vol *volume, dir int) (err error) {
		f, err = n.makeNameless(vol, dir, in, out)
		return err
	})
	return f, n.mirror.errno("tmpfile", n, err)
}

func (n *node) makeNameless(vol *volume, dir int, in *fuse.CreateIn, out *fuse.EntryOut) (*file, error) {
	if nameless == 0 {
		return nil, syscall.EOPNOTSUPP
	}
	flags := int(in.Flags)
	fd, err := roomy2(n.mirror, func() (int, error) {
		return unix.Openat(dir, ".", backingFlags(flags)|flags&unix.O_EXCL|nameless, masked(dir, in.Mode, in.Umask)&0o7777)
	})
	if err != nil {
		return nil, err
	}
	made, err := n.nameless(&in.Caller, vol, dir, fd, out)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	f, err := newFile(made, vol, fd, flags)
	if err != nil {
		made.named()
	}
	return f, err
}

// nameless gives a new file without a name to the client and makes its node.
func (n *node) nameless(caller *fuse.Caller, vol *volume, dir, fd int, out *fuse.EntryOut) (*node, error) {
	if err := n.own(caller, dir, fd); err != nil {
		return nil, err
	}
	s, err := statAt(fd, "")
	if err != nil {
		return nil, err
	}
	pinned, err := reopen(fd, openPath)
	if err != nil {
		return nil, err
	}
	made := &node{mirror: n.mirror, vol: vol, id: s.id}
	made.setAttr(s, &out.Attr)
	made.orphaned(os.NewFile(uintptr(pinned), "nameless"))
	return made, nil
}
