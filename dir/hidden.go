package dir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hiddenPrefix opens the names of directories of the source that are not
// volumes: clones that are not complete yet, and volumes that are being deleted.
// They are in the source because rename(2) works within one file system, and a
// directory that its owner must not write to can get no other parent.
const hiddenPrefix = ".clonefs-"

func isHidden(name string) bool { return strings.HasPrefix(name, hiddenPrefix) }

// A hidden directory is locked (flock(2)) by the process that works on it, for
// as long as it has the directory open. So one that can be locked is what a
// process left that was killed.
type hidden struct {
	top  *os.File // the source
	name string
	dir  *os.File
}

// makeHidden makes a hidden directory that only its owner can enter.
func makeHidden(top *os.File) (*hidden, error) {
	for {
		name := hiddenName()
		if err := unix.Mkdirat(fd(top), name, 0o700); err != nil {
			return nil, err
		}
		dir, err := openLocked(top, name)
		// Another process may take it for a left-over before it is locked.
		if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.ENOENT) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, unix.Unlinkat(fd(top), name, unix.AT_REMOVEDIR))
		}
		return &hidden{top, name, dir}, nil
	}
}

func hiddenName() string { return hiddenPrefix + rand.Text() }

// remove deletes the directory with all that is in it.
func (h *hidden) remove() error {
	err := removeContents(h.dir)
	if err == nil {
		err = unix.Unlinkat(fd(h.top), h.name, unix.AT_REMOVEDIR)
	}
	if err != nil {
		return fmt.Errorf("delete %s, which is no volume any more (remove it by hand): %w", filepath.Join(h.top.Name(), h.name), err)
	}
	return nil
}

// sweep removes what killed processes left in the source.
func (s *Source) sweep(top *os.File) {
	entries, err := readDir(s.path)
	if err != nil {
		s.logger.Warn("cannot look for what interrupted clones left", "source", s.path, "error", err)
	}
	for _, entry := range entries {
		if !isHidden(entry.Name()) || !entry.IsDir() {
			continue
		}
		if err := sweepOne(top, entry.Name()); err != nil {
			s.logger.Warn("cannot remove what an interrupted clone left", "error", err)
		}
	}
}

func sweepOne(top *os.File, name string) error {
	dir, err := openDirectory(top, name)
	if errors.Is(err, syscall.ENOENT) {
		return nil // whoever worked on it has finished
	}
	if err != nil {
		return err
	}
	defer unlock(dir)
	// Without a working lock nobody can tell what is left from what is new.
	if lock(dir, unix.LOCK_EX) != nil || !isAt(dir, top, name) {
		return nil
	}
	return (&hidden{top, name, dir}).remove()
}

// openLocked opens and locks the directory name. It returns EBUSY when another
// process has it locked. Where a directory cannot be locked (NFS), it is open
// without.
func openLocked(top *os.File, name string) (*os.File, error) {
	dir, err := openDirectory(top, name)
	if err != nil {
		return nil, err
	}
	if err := lock(dir, unix.LOCK_EX); errors.Is(err, syscall.EBUSY) {
		closeQuietly(dir)
		return nil, fmt.Errorf("a clone of it is being made, or it is being destroyed: %w", err)
	}
	if !isAt(dir, top, name) {
		unlock(dir)
		return nil, syscall.ENOENT
	}
	return dir, nil
}

// lock locks a directory, or returns EBUSY if someone else has locked it.
func lock(dir *os.File, how int) error {
	err := retry(func() error { return unix.Flock(fd(dir), how|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return syscall.EBUSY
	}
	return err
}

// unlock closes a directory that may be locked. A child process that is just
// being started has the descriptor too, and would keep the lock for a moment.
func unlock(dir *os.File) {
	_ = unix.Flock(fd(dir), unix.LOCK_UN)
	closeQuietly(dir)
}

// isAt tells whether the open directory has this name.
func isAt(dir, top *os.File, name string) bool {
	var at, is unix.Stat_t
	return unix.Fstatat(fd(top), name, &at, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		unix.Fstat(fd(dir), &is) == nil && inodeOf(&at) == inodeOf(&is)
}
