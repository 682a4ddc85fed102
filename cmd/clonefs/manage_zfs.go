package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/zfs"
)

const (
	// knownLimit is how long a new clone that is mounted may take until its
	// source knows it.
	knownLimit = 30 * time.Second

	// renamedLimit is the same for a name that is new; there may be no event
	// that tells of it, only the source's next look.
	renamedLimit = 5 * time.Second

	// longestName is ZFS_MAX_DATASET_NAME_LEN, without the zero at the end.
	longestName = 255
)

var _ fs.Manager = (*datasetManager)(nil)

// A datasetManager makes, destroys and renames datasets for the clients of a mount.
// What it makes are clones of one snapshot, and it destroys no others.
type datasetManager struct {
	command  zfs.Command
	source   fs.Source
	dataset  string // the source's
	template string
}

// newDatasetManager returns a manager of the volumes of a dataset. The template is a
// snapshot that exists.
func newDatasetManager(ctx context.Context, source fs.Source, dataset, template string) (*datasetManager, error) {
	command, err := zfs.FindCommand()
	if err != nil {
		return nil, fmt.Errorf("make clones of %s: %w", template, err)
	}
	if err := command.CheckSnapshot(ctx, template); err != nil {
		return nil, explainSnapshot(template, err)
	}
	if poolOf(dataset) != poolOf(template) {
		return nil, fmt.Errorf("the template %s is in another pool than %s: clones are in the pool of their snapshot", template, dataset)
	}
	return &datasetManager{command, source, dataset, template}, nil
}

func poolOf(name string) string {
	end := strings.IndexAny(name, "/@")
	if end < 0 {
		return name
	}
	return name[:end]
}

// Create implements fs.Manager.
func (m *datasetManager) Create(ctx context.Context, name string) error {
	dataset, err := m.datasetOf(name)
	if err != nil {
		return err
	}
	err = m.command.Clone(ctx, m.template, dataset, nil)
	if errors.Is(err, zfs.ErrNotExist) {
		return managedError{syscall.EIO, err} // it is not the client's name that is wrong
	}
	if err == nil {
		if err = m.awaitVolume(ctx, name, dataset); err != nil {
			_, undone := m.command.Destroy(context.WithoutCancel(ctx), dataset, zfs.DestroyOptions{Origin: m.template})
			err = errors.Join(err, undone)
		}
	}
	return withErrno(err)
}

// awaitVolume waits until the source knows a volume whose dataset has been mounted.
func (m *datasetManager) awaitVolume(ctx context.Context, name, dataset string) error {
	limit := time.After(knownLimit)
	for {
		if _, known := m.source.Volume(name); known {
			return nil
		}
		table, err := mounts.Read()
		switch {
		case err != nil:
			return err
		case !isMounted(table, dataset):
			return fmt.Errorf("%s was made, but ZFS has not mounted it: `zfs get mountpoint,canmount '%s'` may say why: it is destroyed again", dataset, m.dataset)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			return fmt.Errorf("%s was made and mounted, but cannot be reached or zfs does not tell of it: it is destroyed again", dataset)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Destroy implements fs.Manager.
func (m *datasetManager) Destroy(ctx context.Context, name string) error {
	dataset, err := m.noSnapshot(name)
	if err != nil {
		return err
	}
	_, err = m.command.Destroy(ctx, dataset, zfs.DestroyOptions{Origin: m.template})
	return withErrno(withUsers(dataset, err))
}

// Rename implements fs.Manager, for clones of the template. The template's own
// dataset stays where it is, and what it is in: the template would have another
// name then.
func (m *datasetManager) Rename(ctx context.Context, name, newName string) error {
	dataset, err := m.noSnapshot(name)
	if err != nil {
		return err
	}
	newDataset, err := m.datasetOf(newName)
	if err != nil {
		return err
	}
	if strings.HasPrefix(m.template, dataset+"@") || strings.HasPrefix(m.template, dataset+"/") {
		return managedError{syscall.EBUSY, fmt.Errorf("rename %s: it holds %s, the template of new volumes", dataset, m.template)}
	}
	if err := m.command.IsCloneOf(ctx, dataset, m.template); err != nil {
		return withErrno(fmt.Errorf("rename %s: %w", dataset, err))
	}
	_, served := m.source.Volume(name)
	if err := m.command.Rename(ctx, dataset, newDataset); err != nil {
		return withErrno(withUsers(dataset, err))
	}
	if served {
		ctx, cancel := context.WithTimeout(ctx, renamedLimit)
		defer cancel()
		// It has its new name already: that nobody serves it by that yet is
		// no reason to say that it failed.
		_ = m.awaitVolume(ctx, newName, newDataset)
	}
	return nil
}

// datasetOf returns the name of the dataset that a volume directly in the source is
// or is to be.
func (m *datasetManager) datasetOf(name string) (string, error) {
	dataset := m.dataset + "/" + name
	if len(dataset) > longestName {
		return "", managedError{syscall.ENAMETOOLONG, fmt.Errorf("%s: names of datasets have at most %d characters", dataset, longestName)}
	}
	return dataset, nil
}

// noSnapshot is datasetOf for a volume that is there, with --snapshots perhaps as a
// snapshot: those are not the clients' to destroy or rename.
func (m *datasetManager) noSnapshot(name string) (string, error) {
	if strings.Contains(name, "@") {
		return "", managedError{syscall.EPERM, fmt.Errorf("%s/%s is a snapshot: only clones are destroyed and renamed through the mount, snapshots with zfs", m.dataset, name)}
	}
	return m.datasetOf(name)
}

// withUsers adds to an error that a dataset is busy who uses it.
func withUsers(dataset string, err error) error {
	if !errors.Is(err, zfs.ErrBusy) {
		return err
	}
	users := usersOfVolume(sourceName{datasetKind, dataset})
	return fmt.Errorf("%w; it is used by %s", err, strings.Join(users, "; "))
}

// A managedError is an error with what mkdir(2), rmdir(2) or rename(2) say for it.
type managedError struct {
	errno syscall.Errno
	err   error
}

func (e managedError) Error() string { return e.err.Error() }

// Unwrap has the errno first: the error may have another in it, of starting zfs.
func (e managedError) Unwrap() []error { return []error{e.errno, e.err} }

// errnos are what the errors of zfs are for clients.
var errnos = []struct {
	err   error
	errno syscall.Errno
}{
	{context.Canceled, syscall.EINTR},
	{zfs.ErrExist, syscall.EEXIST},
	{zfs.ErrNotExist, syscall.ENOENT},
	{zfs.ErrNoParent, syscall.ENOENT},
	{zfs.ErrNotClone, syscall.EPERM},
	{zfs.ErrNotMountable, syscall.EPERM},
	{zfs.ErrPermission, syscall.EACCES},
	{zfs.ErrBusy, syscall.EBUSY},
	{zfs.ErrHasChildren, syscall.ENOTEMPTY},
	{zfs.ErrHasClones, syscall.ENOTEMPTY},
	{zfs.ErrNoSpace, syscall.ENOSPC},
	{zfs.ErrBadName, syscall.EINVAL},
}

// withErrno gives an error its errno; what is not the client's affair is EIO.
func withErrno(err error) error {
	if err == nil {
		return nil
	}
	for _, e := range errnos {
		if errors.Is(err, e.err) {
			return managedError{e.errno, err}
		}
	}
	return managedError{syscall.EIO, err}
}
