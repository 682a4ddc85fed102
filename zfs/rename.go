package zfs

import (
	"context"
	"errors"
	"fmt"
)

// Rename gives a dataset, and with it those below it, another name in its pool.
// The new parent must exist. ZFS unmounts it and mounts it at its new place, where
// that follows from the name. While it is busy, Rename tries again for a second.
//
// The error matches ErrExist for a new name that is taken, ErrNotExist, ErrNoParent,
// ErrBusy, ErrPermission, ErrBadName or ErrTimeout.
func (c Command) Rename(ctx context.Context, dataset, newName string) error {
	if err := errors.Join(CheckName(dataset), CheckName(newName)); err != nil {
		return fmt.Errorf("rename %s: %w", dataset, err)
	}
	return untilFree(ctx, func() error {
		return c.change(ctx, []string{dataset, newName}, "rename", dataset, newName)
	})
}
