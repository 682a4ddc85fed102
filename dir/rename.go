package dir

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rename gives a volume another name. It has another identity then, because the
// identity of a directory is its name: its images are presented with other
// UUIDs.
//
// Errors match what rename(2) would return: ENOENT for a volume that is not
// there, ENOTDIR for what is no directory, EEXIST for a new name that is taken,
// EINVAL for a name that no volume can have, EBUSY for a mount point.
func (s *Source) Rename(ctx context.Context, name, newName string) error {
	if err := s.rename(ctx, name, newName); err != nil {
		return fmt.Errorf("rename %s to %q: %w", filepath.Join(s.path, name), newName, err)
	}
	return nil
}

func (s *Source) rename(ctx context.Context, name, newName string) error {
	if err := interrupted(ctx); err != nil {
		return err
	}
	for _, name := range []string{name, newName} {
		top, err := s.openFor(name)
		if err != nil {
			return err
		}
		closeQuietly(top)
	}
	top, err := s.openFor(name)
	if err != nil {
		return err
	}
	defer closeQuietly(top)
	var old unix.Stat_t
	if err := unix.Fstatat(fd(top), name, &old, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if !isDirectory(&old) {
		return syscall.ENOTDIR
	}
	return renameNew(fd(top), name, newName)
}

// renameNew renames a directory to a name that is not taken: otherwise it
// returns EEXIST.
func renameNew(top int, name, newName string) error {
	err := renameNoReplace(top, name, newName)
	for _, unknown := range []error{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP} {
		if errors.Is(err, unknown) {
			return renameReserved(top, name, newName)
		}
	}
	return err
}

// renameReserved is renameNew for file systems that cannot do it in one call
// (NFS), and for FreeBSD. It takes the name with an empty directory: a directory
// can be renamed over one, and mkdir(2) replaces nothing.
func renameReserved(top int, name, newName string) error {
	if err := unix.Mkdirat(top, newName, 0o700); err != nil {
		return err
	}
	if err := unix.Renameat(top, name, top, newName); err != nil {
		return errors.Join(err, unix.Unlinkat(top, newName, unix.AT_REMOVEDIR))
	}
	return nil
}
