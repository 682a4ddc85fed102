package fs

import (
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// pathMax is what system calls take for a path or a link's text, in bytes
// (PATH_MAX of limits.h, where it is 1024 on FreeBSD).
const pathMax = 4096

// A fileID tells one backing inode from every other that a volume ever had, as
// far as its file system lets us: inode numbers are used again.
type fileID struct {
	dev, ino uint64
	birth    int64 // nanoseconds since 1970, 0 where not known
}

// A status is what the backing file system says of an inode.
type status struct {
	id   fileID
	attr fuse.Attr // with Ino unset
}

func (s status) isDir() bool { return s.attr.Mode&unix.S_IFMT == unix.S_IFDIR }

// openStepwise is openBeneath for systems that cannot do it in one call: a
// directory at a time, following no link.
func openStepwise(root int, path string, flags int) (int, error) {
	names := strings.Split(path, "/")
	dir := root
	for _, name := range names[:len(names)-1] {
		next, err := openStep(dir, name, openPath|unix.O_DIRECTORY)
		if dir != root {
			unix.Close(dir)
		}
		if err != nil {
			return -1, err
		}
		dir = next
	}
	fd, err := openStep(dir, names[len(names)-1], flags)
	if dir != root {
		unix.Close(dir)
	}
	return fd, err
}

func openStep(dir int, name string, flags int) (int, error) {
	if name == ".." {
		return -1, unix.EXDEV // as openat2(2) with RESOLVE_BENEATH
	}
	return retry2(func() (int, error) {
		return unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}
