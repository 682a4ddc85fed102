package fs

import (
	"os"
	"runtime"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"golang.org/x/sys/unix"
)

// A file that lost its last name lives on while somebody uses it, and "use"
// includes the moment between a client's lookup and its open. Such a node keeps
// a descriptor (O_PATH), because no path leads to it any more. The kernel
// forgets the inode when its last user lets go, so the descriptor keeps the
// volume busy for as long as the client itself does, and no longer.

// A victim is a node that is about to lose its last name.
type victim struct {
	node *node
	file *os.File
}

// victim pins what name is in the directory, if the kernel knows it and if this
// is its last name.
func (n *node) victim(dir int, name string) *victim {
	inode := n.GetChild(name)
	if inode == nil {
		return nil
	}
	fd, err := openBeneath(dir, name, openPath)
	if err != nil {
		return nil
	}
	v := &victim{inode.Operations().(*node), os.NewFile(uintptr(fd), name)}
	s, err := statAt(fd, "")
	if err != nil || !v.node.is(s.id) || s.attr.Nlink > 1 && !s.isDir() {
		v.file.Close()
		return nil
	}
	return v
}

// settle makes the victim an orphan if its name was removed.
func (v *victim) settle(removal error) {
	switch {
	case v == nil:
	case removal != nil:
		v.file.Close()
	default:
		v.node.orphan.Store(v.file)
	}
}

// openOrphan opens a node without a name anew.
func openOrphan(f *os.File, flags int) (int, error) {
	defer runtime.KeepAlive(f)
	if flags&openPath != 0 {
		return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	}
	return retry2(func() (int, error) { return reopen(int(f.Fd()), flags) })
}

var _ = (gofuse.NodeOnForgetter)((*node)(nil))

// OnForget closes the descriptor of an orphan.
func (n *node) OnForget() {
	if f := n.orphan.Swap(nil); f != nil {
		f.Close()
	}
}
