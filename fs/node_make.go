package fs

import (
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// changeDir is change with the volume that the directory is in.
func (n *node) changeDir(use func(vol *volume, dir int) error) error {
	vol, err := n.writable()
	if err != nil {
		return err
	}
	return n.with(vol, func(dir int) error { return use(vol, dir) })
}

// make makes name with call, gives it to the client, and returns its node.
// What cannot be given away is removed again with flags of unlinkat(2).
func (n *node) make(caller *fuse.Caller, operation, name string, out *fuse.EntryOut, unlink int, call func(dir int) error) (*node, syscall.Errno) {
	var child *node
	err := n.changeDir(func(vol *volume, dir int) (err error) {
		if n.hides(name) {
			return errHidden
		}
		if err := roomy(n.mirror, func() error { return call(dir) }); err != nil {
			return err
		}
		if err := n.ownNew(caller, dir, name); err != nil {
			return errors.Join(err, unix.Unlinkat(dir, name, unlink))
		}
		child, err = n.child(vol, dir, name, out)
		return err
	})
	return child, n.mirror.errno(operation, n, err)
}

// Mkdir makes a directory, or at the top, where directories are volumes, a
// volume.
func (n *node) Mkdir(ctx *fuse.Context, name string, mode, umask uint32, out *fuse.EntryOut) (*node, syscall.Errno) {
	if n.isTop() {
		child, err := n.createVolume(ctx, name, out)
		return child, n.mirror.errno("mkdir "+name, n, err)
	}
	return n.make(&ctx.Caller, "mkdir", name, out, unix.AT_REMOVEDIR, func(dir int) error {
		return unix.Mkdirat(dir, name, masked(dir, mode, umask)&0o7777)
	})
}

// Mknod makes a fifo, a socket, a device, or an empty regular file.
func (n *node) Mknod(caller *fuse.Caller, name string, mode, umask, dev uint32, out *fuse.EntryOut) (*node, syscall.Errno) {
	return n.make(caller, "mknod", name, out, 0, func(dir int) error { return makeNode(dir, name, masked(dir, mode, umask), dev) })
}

// Symlink makes a symbolic link with any text as its target.
func (n *node) Symlink(caller *fuse.Caller, target, name string, out *fuse.EntryOut) (*node, syscall.Errno) {
	return n.make(caller, "symlink", name, out, 0, func(dir int) error { return unix.Symlinkat(target, dir, name) })
}

// Readlink returns the text of a symbolic link; the client's kernel follows it.
func (n *node) Readlink() (target []byte, errno syscall.Errno) {
	buf := make([]byte, pathMax)
	err := n.with(n.vol, func(fd int) error {
		size, err := unix.Readlinkat(fd, "", buf)
		target = buf[:max(size, 0)]
		return err
	})
	return target, n.mirror.errno("readlink", n, err)
}

// Link gives a file another name in the same volume.
func (n *node) Link(old *node, name string, out *fuse.EntryOut) (*node, syscall.Errno) {
	var child *node
	err := n.changeDir(func(vol *volume, dir int) error {
		if n.hides(name) {
			return errHidden
		}
		if old.vol != vol {
			return errCrossing
		}
		return old.with(vol, func(fd int) (err error) {
			if err := linkInode(fd, dir, name); err != nil {
				return err
			}
			child, err = n.child(vol, dir, name, out)
			return err
		})
	})
	return child, n.mirror.errno("link", n, err)
}
