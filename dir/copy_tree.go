package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// A copier copies one tree. Libraries that copy trees were looked at: they do
// not insist on reflinks (containerd/continuity, moby), or lose extended
// attributes, hard links or holes (otiai10/copy).
type copier struct {
	ctx     context.Context
	options CloneOptions
	top     *os.File         // the root of the copy
	links   map[inode]string // where below top the copy of an object with several names is
}

// directory copies what is in a directory, and then its attributes: making an
// entry would change its times. The directory is at the path below top.
func (c *copier) directory(from, to *os.File, at string) error {
	setNoCow(to, from)
	names, err := from.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := interrupted(c.ctx); err != nil {
			return err
		}
		if err := c.entry(from, to, name, path.Join(at, name)); err != nil {
			return err
		}
	}
	var s unix.Stat_t
	if err := unix.Fstat(fd(from), &s); err != nil {
		return &os.PathError{Op: "stat", Path: from.Name(), Err: err}
	}
	return copyAttributes(to, from, &s)
}

// interrupted returns an error that matches EINTR when ctx is done.
func interrupted(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINTR)
	}
	return nil
}

// entry copies one name. What was looked at and what is then opened may be two
// things, so the copier goes by what it has opened.
func (c *copier) entry(from, to *os.File, name, at string) error {
	if isMountPoint(from, name) {
		return fmt.Errorf("a file system is mounted at %s: %w", filepath.Join(from.Name(), name), syscall.EXDEV)
	}
	source, s, err := openEntry(from, name)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	if isDirectory(s) {
		return c.subdirectory(source, to, name, at)
	}
	if s.Nlink > 1 {
		if first, ok := c.links[inodeOf(s)]; ok {
			return wrap("link", to, name, unix.Linkat(fd(c.top), first, fd(to), name, 0))
		}
		c.links[inodeOf(s)] = at
	}
	target, err := c.make(source, to, name, s)
	if err != nil {
		return err
	}
	err = copyAttributes(target, source, s)
	return errors.Join(err, target.Close())
}

// openEntry opens name, to be read if it can be, or only to name it.
func openEntry(dir *os.File, name string) (*os.File, *unix.Stat_t, error) {
	var s unix.Stat_t
	if err := unix.Fstatat(fd(dir), name, &s, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, nil, wrap("stat", dir, name, err)
	}
	file, err := openAt(dir, name, openFlags(&s), 0)
	if err != nil {
		return nil, nil, err
	}
	before := s.Mode & unix.S_IFMT
	if err := unix.Fstat(fd(file), &s); err == nil && s.Mode&unix.S_IFMT == before {
		return file, &s, nil
	}
	closeQuietly(file)
	return nil, nil, fmt.Errorf("%s was changed while it was copied: %w", file.Name(), syscall.EAGAIN)
}

func openFlags(s *unix.Stat_t) int {
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return unix.O_RDONLY
	case unix.S_IFDIR:
		return unix.O_RDONLY | unix.O_DIRECTORY
	}
	return openPath
}

func isDirectory(s *unix.Stat_t) bool { return s.Mode&unix.S_IFMT == unix.S_IFDIR }

func (c *copier) subdirectory(source, to *os.File, name, at string) error {
	if err := unix.Mkdirat(fd(to), name, 0o700); err != nil {
		return wrap("mkdir", to, name, err)
	}
	target, err := openDirectory(to, name)
	if err != nil {
		return err
	}
	defer closeQuietly(target)
	return c.directory(source, target, at)
}

// make makes the counterpart of what is no directory and returns it open.
func (c *copier) make(source, to *os.File, name string, s *unix.Stat_t) (*os.File, error) {
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return c.file(source, to, name, s.Size)
	case unix.S_IFLNK:
		text, err := readLink(source)
		if err != nil {
			return nil, &os.PathError{Op: "readlink", Path: source.Name(), Err: err}
		}
		if err := unix.Symlinkat(text, fd(to), name); err != nil {
			return nil, wrap("symlink", to, name, err)
		}
	default:
		if err := makeNode(to, name, s); err != nil {
			return nil, wrap("mknod", to, name, err)
		}
	}
	return openAt(to, name, openPath, 0)
}

// wrap says what a system call was about.
func wrap(call string, dir *os.File, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: call, Path: filepath.Join(dir.Name(), name), Err: err}
}
