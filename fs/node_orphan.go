package fs

import (
	"context"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
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
	inode := n.GetChild(name)
	if inode == nil {
		return nil
	}
	fd, err := openBeneath(dir, name, openPath)
	if err != nil {
		return nil
	}
	v := &victim{inode.Operations().(*node), n, name, os.NewFile(uintptr(fd), name)}
	s, err := statAt(fd, "")
	if err != nil || !v.node.is(s.id) {
		discard(v.file)
		return nil
	}
	return v
}

// settle makes the victim an orphan if its name was removed and go-fuse knows
// no other that leads to it.
func (v *victim) settle(removal error) {
	if v == nil {
		return
	}
	if removal == nil {
		v.dir.RmChild(v.name)
		if _, parent := v.node.Parent(); parent == nil {
			v.node.orphaned(v.file)
			return
		}
	}
	discard(v.file)
}

// orphaned gives the node a descriptor in place of a path.
func (n *node) orphaned(f *os.File) {
	n.orphan.Store(f)
	n.mirror.orphans.add(n)
}

// orphans are the removed files that somebody still uses, or that the kernel
// has not yet told us it forgot.
type orphans struct {
	mu    sync.Mutex
	nodes map[*node]bool
}

func (o *orphans) add(n *node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nodes[n] = true
}

func (o *orphans) remove(n *node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.nodes, n)
}

func (o *orphans) any() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.nodes) > 0
}

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

var _ = (gofuse.NodeOnForgetter)((*node)(nil))

// OnForget closes the descriptor of an orphan.
func (n *node) OnForget() { n.named() }

// named says that a path leads to the node again, or that nobody needs one.
func (n *node) named() {
	if f := n.orphan.Swap(nil); f != nil {
		discard(f)
		n.mirror.orphans.remove(n)
	}
}

// discard closes a descriptor that only names an inode: nothing can be lost.
func discard(f *os.File) { _ = f.Close() }

var _ = (gofuse.NodeTmpfiler)((*node)(nil))

// Tmpfile makes a file without a name (O_TMPFILE), which Link may give it.
func (n *node) Tmpfile(ctx context.Context, flags, mode uint32, out *fuse.EntryOut) (*gofuse.Inode, gofuse.FileHandle, uint32, syscall.Errno) {
	var child *gofuse.Inode
	var f *file
	err := n.changeDir(func(vol *volume, dir int) (err error) {
		child, f, err = n.makeNameless(ctx, vol, dir, int(flags), mode, out)
		return err
	})
	if err != nil {
		return nil, nil, 0, n.mirror.errno("tmpfile", n, err)
	}
	return child, f, f.openFlags(ctx, int(flags)), 0
}

func (n *node) makeNameless(ctx context.Context, vol *volume, dir, flags int, mode uint32, out *fuse.EntryOut) (*gofuse.Inode, *file, error) {
	if nameless == 0 {
		return nil, nil, syscall.EOPNOTSUPP
	}
	fd, err := roomy2(n.mirror, func() (int, error) {
		return unix.Openat(dir, ".", backingFlags(flags)|flags&unix.O_EXCL|nameless, masked(dir, mode)&0o7777)
	})
	if err != nil {
		return nil, nil, err
	}
	made, err := n.nameless(ctx, vol, dir, fd)
	if err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	s, err := statAt(fd, "")
	if err != nil {
		made.named()
		unix.Close(fd)
		return nil, nil, err
	}
	f, err := newFile(made, vol, fd, flags)
	if err != nil {
		made.named()
		return nil, nil, err
	}
	return n.inode(ctx, made, s, out), f, nil
}

// nameless gives a new file without a name to the client and makes its node.
func (n *node) nameless(ctx context.Context, vol *volume, dir, fd int) (*node, error) {
	if err := n.own(ctx, dir, fd); err != nil {
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
	made.orphaned(os.NewFile(uintptr(pinned), "nameless"))
	return made, nil
}
