package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Unlink removes a name that is no directory's.
func (n *node) Unlink(name string) syscall.Errno {
	return n.mirror.errno("unlink "+name, n, n.remove(name, 0))
}

// Rmdir removes an empty directory, or destroys a volume.
func (n *node) Rmdir(ctx *fuse.Context, name string) syscall.Errno {
	if n.isTop() && n.isVolume(name) {
		return n.mirror.errno("rmdir "+name, n, n.destroyVolume(ctx, name))
	}
	return n.mirror.errno("rmdir "+name, n, n.remove(name, unix.AT_REMOVEDIR))
}

func (n *node) remove(name string, flags int) error {
	if n.isVolume(name) {
		return errVolume
	}
	return n.change(func(dir int) error {
		victim := n.victim(dir, name)
		err := retry(func() error { return unix.Unlinkat(dir, name, flags) })
		victim.settle(err)
		return err
	})
}

// Rename renames within a volume, with the flags of renameat2(2), or renames a
// volume.
func (n *node) Rename(ctx *fuse.Context, name string, to *node, newName string, flags uint32) syscall.Errno {
	rename := n.rename
	if n.isTop() && to == n && n.isVolume(name) {
		rename = n.renameVolume
	}
	return n.mirror.errno("rename "+name+" to "+newName, n, rename(ctx, name, to, newName, flags))
}

func (n *node) rename(ctx *fuse.Context, name string, to *node, newName string, flags uint32) error {
	if n.isVolume(name) || to.isVolume(newName) {
		return errVolume
	}
	if to.hides(newName) {
		return errHidden
	}
	if n.volume() != to.volume() {
		return errCrossing
	}
	return n.change(func(oldDir int) error {
		return to.change(func(newDir int) error {
			var victim *victim
			if flags&renameExchange == 0 {
				victim = to.victim(newDir, newName)
			}
			err := retry(func() error { return renameAt(oldDir, name, newDir, newName, flags) })
			victim.settle(err)
			if err == nil && flags&renameWhiteout != 0 {
				err = n.ownNew(&ctx.Caller, oldDir, name)
			}
			return err
		})
	})
}
