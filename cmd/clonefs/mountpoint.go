package main

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

// resolveMountpoint returns the absolute path of a directory, free of symbolic
// links, and the mount of clonefs on it if there is one. The directory itself
// is not touched when a mount of clonefs is on it: the mount may be dead.
func resolveMountpoint(path string) (string, *mounts.Mount, error) {
	table, err := mounts.Read()
	if err != nil {
		return "", nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	resolved := absolute
	for _, resolve := range []func(string) (string, error){literally, resolveParent, filepath.EvalSymlinks} {
		if resolved, err = resolve(absolute); err != nil {
			return absolute, nil, err
		}
		if m, ok := table.At(resolved); ok && m.IsCloneFS() {
			return resolved, &m, nil
		}
	}
	return resolved, nil, nil
}

func literally(path string) (string, error) { return path, nil }

// resolveParent resolves all of a path but its last element.
func resolveParent(path string) (string, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// prepareMountpoint returns the absolute path of the directory to mount on. It
// refuses one that cannot or should not be mounted on, and takes away what a
// daemon that was killed has left on it, which it tells notice.
func prepareMountpoint(path string, allowNonempty bool, notice func(string)) (string, error) {
	for {
		resolved, mounted, err := resolveMountpoint(path)
		if err != nil {
			return "", explainMountpoint(path, err)
		}
		if mounted == nil {
			return resolved, checkMountpoint(resolved, allowNonempty)
		}
		if !isDead(resolved) {
			return "", fmt.Errorf("%s is mounted on %s already: look at it with `clonefs ls %s`, end it with `clonefs unmount %s`",
				mounted.Source, resolved, resolved, resolved)
		}
		switch err := mounts.DetachDead(*mounted); {
		case err == nil:
			notice(fmt.Sprintf("cleaned %s: a clonefs of %s that was killed had left a dead mount on it", resolved, mounted.Source))
		case !errors.Is(err, mounts.ErrReplaced): // or else it is looked at anew
			return "", fmt.Errorf("%s has a dead mount on it, left by a daemon that was killed, and it cannot be cleaned: %w", resolved, err)
		}
	}
}

// isDead says whether a mount has lost its daemon. statfs(2) asks the daemon,
// where stat(2) may be answered from the kernel's cache.
func isDead(mountpoint string) bool {
	var statistics unix.Statfs_t
	return isDisconnected(unix.Statfs(mountpoint, &statistics))
}

// isDisconnected says whether an error means that no daemon answers any more;
// ECONNABORTED is what those get who were waiting when it ended.
func isDisconnected(err error) bool {
	return errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED)
}

func checkMountpoint(path string, allowNonempty bool) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return explainMountpoint(path, err)
	case !info.IsDir():
		return fmt.Errorf("mount point %s is not a directory", path)
	case isRoot(info):
		return fmt.Errorf("mount point %s is the root directory: mount on a directory of its own", path)
	case os.Geteuid() != 0 && unix.Access(path, unix.W_OK) != nil:
		return fmt.Errorf("mount point %s is not yours to write to, and only root mounts on such a directory", path)
	}
	return checkEmpty(path, allowNonempty)
}

func isRoot(info os.FileInfo) bool {
	root, err := os.Stat("/")
	return err == nil && os.SameFile(root, info)
}

func checkEmpty(path string, allowNonempty bool) error {
	directory, err := os.Open(path)
	if err != nil {
		return explainMountpoint(path, err)
	}
	defer directory.Close() //nolint:errcheck // it was only read
	names, err := directory.Readdirnames(1)
	switch {
	case errors.Is(err, io.EOF) || len(names) > 0 && allowNonempty:
		return nil
	case err != nil:
		return explainMountpoint(path, err)
	}
	return fmt.Errorf("mount point %s is not empty: use an empty directory, or --nonempty to hide what is in it while mounted", path)
}

// explainMountpoint says what to do about an error of the mount point.
func explainMountpoint(path string, err error) error {
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return fmt.Errorf("mount point %s does not exist: make it with `mkdir -p %s`", path, path)
	case isDisconnected(err):
		return fmt.Errorf("mount point %s lies on a dead mount of another file system: unmount that first", path)
	case errors.Is(err, iofs.ErrPermission):
		return fmt.Errorf("mount point %s cannot be looked at by this user: %w", path, err)
	}
	return fmt.Errorf("mount point %s: %w", path, err)
}

// describeMounts lists the mounts of clonefs for a message.
func describeMounts(table mounts.Table) string {
	var lines []string
	for _, m := range table.CloneFS() {
		lines = append(lines, fmt.Sprintf("%s (%s)", m.Dir, m.Source))
	}
	if len(lines) == 0 {
		return "there is no mount of clonefs"
	}
	return "clonefs is mounted on " + strings.Join(lines, ", ")
}
