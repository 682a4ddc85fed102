package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Destroy deletes a volume with all that is in it, following no symbolic link.
// It disappears at once and as a whole; from then on Destroy cannot be
// interrupted. What a killed process left is removed by the next Clone or
// Destroy.
//
// Errors match what rmdir(2) would return: ENOENT for a name that is not there,
// ENOTDIR for one that is no directory's, EINVAL for one that no volume can
// have, EBUSY for a volume that is a mount point, has one in it, has files open,
// or is being cloned or destroyed, EINTR when ctx was done before.
func (s *Source) Destroy(ctx context.Context, name string) error {
	return s.destroy(ctx, name, func(*os.File) error { return nil })
}

// destroy is Destroy for a volume that allowed returns no error for.
func (s *Source) destroy(ctx context.Context, name string, allowed func(volume *os.File) error) error {
	top, err := s.openFor(name)
	if err != nil {
		return fmt.Errorf("destroy a volume of %s: %w", s.path, err)
	}
	defer closeQuietly(top)
	s.sweep(top)
	victim, err := hide(ctx, top, name, allowed)
	if err != nil {
		return fmt.Errorf("destroy %s: %w", filepath.Join(s.path, name), err)
	}
	defer unlock(victim.dir)
	return victim.remove()
}

// hide makes a volume a hidden directory, if nothing speaks against destroying
// it.
func hide(ctx context.Context, top *os.File, name string, allowed func(volume *os.File) error) (*hidden, error) {
	volume, err := openLocked(top, name)
	if err != nil {
		return nil, err
	}
	err = allowed(volume)
	if err == nil {
		err = awaitUnused(ctx, top, name)
	}
	victim := &hidden{top, hiddenName(), volume}
	if err == nil {
		err = renameNew(fd(top), name, victim.name)
	}
	if err == nil && !isAt(volume, top, victim.name) {
		// Another directory has got the name since it was opened.
		err = errors.Join(syscall.EBUSY, renameNew(fd(top), victim.name, name))
	}
	if err != nil {
		unlock(volume)
		return nil, err
	}
	return victim, nil
}

// closing is how long a file may seem open after close(2) has returned: a FUSE
// server is told of it later.
const closing = time.Second

// awaitUnused returns EBUSY if the directory is used in a way that deleting it
// would disturb, and goes on to be.
func awaitUnused(ctx context.Context, top *os.File, name string) error {
	for deadline := time.Now().Add(closing); ; time.Sleep(20 * time.Millisecond) {
		if err := interrupted(ctx); err != nil {
			return err
		}
		if err := unused(top, name); !errors.Is(err, errOpen) || time.Now().After(deadline) {
			return err
		}
	}
}

var errOpen = fmt.Errorf("a process has it open: %w", syscall.EBUSY)

func unused(dir *os.File, name string) error {
	if isMountPoint(dir, name) {
		return fmt.Errorf("%s is a mount point; unmount it first: %w", filepath.Join(dir.Name(), name), syscall.EBUSY)
	}
	file, s, err := openEntry(dir, name)
	if errors.Is(err, unix.EACCES) {
		return nil // whether it can be deleted shows when it is
	}
	if err != nil {
		return err
	}
	defer closeQuietly(file)
	switch {
	case isDirectory(s):
		return unusedBelow(file)
	case s.Mode&unix.S_IFMT == unix.S_IFREG && isOpenElsewhere(file):
		return fmt.Errorf("%s: %w", file.Name(), errOpen)
	}
	return nil
}

func unusedBelow(dir *os.File) error {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := unused(dir, name); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// removeContents deletes what is in a directory. Its mode is changed first: who
// is not root needs to be able to write to it, and nobody else shall enter it.
func removeContents(dir *os.File) error {
	_ = dir.Chmod(0o700) // where that is not allowed, deleting tells
	if _, err := dir.Seek(0, 0); err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := removeEntry(dir, name); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

func removeEntry(dir *os.File, name string) error {
	var s unix.Stat_t
	if err := unix.Fstatat(fd(dir), name, &s, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return wrap("stat", dir, name, err)
	}
	if !isDirectory(&s) {
		return wrap("unlink", dir, name, unix.Unlinkat(fd(dir), name, 0))
	}
	// Something may have been mounted since it was looked at.
	if isMountPoint(dir, name) {
		return wrap("remove", dir, name, syscall.EBUSY)
	}
	below, err := openDirectory(dir, name)
	if err != nil {
		return err
	}
	defer closeQuietly(below)
	if err := removeContents(below); err != nil {
		return err
	}
	return wrap("rmdir", dir, name, unix.Unlinkat(fd(dir), name, unix.AT_REMOVEDIR))
}
