package fs

import (
	"context"
	"errors"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// A Manager makes, destroys and renames volumes. Its errors match the
// syscall.Errno that mkdir(2), rmdir(2) and rename(2) have for the case; others
// are EIO for the client. Their text goes to the log. It may take its time, and
// has to heed ctx, which ends when the client is interrupted.
type Manager interface {
	// Create makes the volume of this name and returns when it can be used.
	// A name that is taken is EEXIST.
	Create(ctx context.Context, name string) error
	// Destroy destroys the volume with all that is in it, unless it is one
	// that it must not destroy: EPERM, or EBUSY while it is in use.
	Destroy(ctx context.Context, name string) error
	// Rename renames a volume. A new name that is taken is EEXIST.
	Rename(ctx context.Context, name, newName string) error
}

// An Ownership is who owns a directory and who may do what there.
type Ownership struct {
	UID, GID uint32
	Mode     uint32 // permission bits, 0o7777 at most
}

func (n *node) createVolume(ctx context.Context, name string, out *fuse.EntryOut) (*node, error) {
	manager, err := n.manager(errNotHere)
	if err != nil {
		return nil, err
	}
	if err := manager.Create(ctx, name); err != nil {
		return nil, managed(err)
	}
	n.mirror.log.Info("volume created", "volume", name)
	if !n.mirror.sync(name) {
		return nil, managed(errors.New("the volume was made, but it is not there"))
	}
	return n.lookupPlace(name, out)
}

func (n *node) destroyVolume(ctx context.Context, name string) error {
	manager, err := n.manager(errVolume)
	if err != nil {
		return err
	}
	if err := manager.Destroy(ctx, name); err != nil {
		return managed(err)
	}
	n.mirror.log.Info("volume destroyed", "volume", name)
	n.mirror.sync(name)
	return nil
}

func (n *node) renameVolume(ctx *fuse.Context, name string, to *node, newName string, flags uint32) error {
	manager, err := n.manager(errVolume)
	if err != nil {
		return err
	}
	if flags&renameExchange != 0 || to.isVolume(newName) {
		return errTaken
	}
	if err := manager.Rename(ctx, name, newName); err != nil {
		return managed(err)
	}
	n.mirror.log.Info("volume renamed", "volume", name, "to", newName)
	n.mirror.sync(name)
	n.mirror.sync(newName)
	return nil
}

// manager returns the mount's manager, or without why the client is refused.
func (n *node) manager(without error) (Manager, error) {
	if n.mirror.options.ReadOnly {
		return nil, errReadOnly
	}
	if n.mirror.options.Manager == nil {
		return nil, without
	}
	return n.mirror.options.Manager, nil
}

// managed makes a refusal of a manager's error, so that its reason is logged.
func managed(err error) error {
	errno := syscall.EIO
	errors.As(err, &errno)
	return &refusal{errno, slog.LevelWarn, err.Error()}
}
