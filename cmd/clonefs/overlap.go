package main

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
)

// checkOverlap refuses a mount point that is in one of the directories that are
// to be served, is one, or contains one: the mount would show itself, and a
// request could wait for itself. mountpoint is free of symbolic links, dirs are
// absolute. Directories are told apart by device and inode, so that a bind
// mount does not hide one.
func checkOverlap(mountpoint string, dirs []string) error {
	o := overlap{infos: map[string]os.FileInfo{}}
	for _, dir := range dirs {
		if err := o.check(mountpoint, dir); err != nil {
			return err
		}
	}
	return nil
}

// overlap remembers what was asked of the file system: the directories of a
// thousand clones have their parents in common.
type overlap struct{ infos map[string]os.FileInfo }

func (o *overlap) check(mountpoint, dir string) error {
	resolved, err := filepath.EvalSymlinks(dir)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return nil // removed since it was listed
	case err != nil:
		return fmt.Errorf("check that %s is apart from the mount point: %w", dir, err)
	case o.same(resolved, mountpoint):
		return fmt.Errorf("%s is served by the source and cannot be the mount point too: mount on an empty directory elsewhere", mountpoint)
	case o.contains(resolved, mountpoint):
		return fmt.Errorf("mount point %s is inside %s, which the source serves: mount on a directory outside", mountpoint, dir)
	case o.contains(mountpoint, resolved):
		return fmt.Errorf("the source's directory %s is inside the mount point %s, which would hide it: mount on a directory elsewhere", dir, mountpoint)
	}
	return nil
}

// contains says whether outer is one of the directories above path.
func (o *overlap) contains(outer, path string) bool {
	for path != "/" {
		path = filepath.Dir(path)
		if o.same(outer, path) {
			return true
		}
	}
	return false
}

func (o *overlap) same(one, other string) bool {
	a, b := o.info(one), o.info(other)
	return one == other || a != nil && b != nil && os.SameFile(a, b)
}

// info returns what is known of a directory, nil where nothing can be.
func (o *overlap) info(path string) os.FileInfo {
	info, asked := o.infos[path]
	if !asked {
		info, _ = os.Stat(path)
		o.infos[path] = info
	}
	return info
}
