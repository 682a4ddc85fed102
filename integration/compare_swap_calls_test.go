package integration

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// errLeak is what a call returns that has seen something of the outside.
var errLeak = errors.New("it shows what is outside")

// swapCalls are what can be done below a directory, in an order in which each
// succeeds. They follow no symbolic link themselves.
var swapCalls = []struct {
	name string
	do   func(dir int) error
}{
	{"create", openThere("new", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, nil)},
	{"unlink what was created", func(dir int) error { return unix.Unlinkat(dir, "new", 0) }},
	{"create or truncate", openThere("other", unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY, nil)},
	{"truncate and overwrite", openThere("file", unix.O_WRONLY|unix.O_TRUNC, func(fd int) error {
		_, err := unix.Write(fd, []byte("overwritten"))
		return err
	})},
	{"read", openThere("sub/file", unix.O_RDONLY, func(fd int) error {
		content := make([]byte, 100)
		n, err := unix.Read(fd, content)
		return noLeak(content, n, err)
	})},
	{"allocate", openThere("sub/file", unix.O_WRONLY, func(fd int) error { return unix.Fallocate(fd, 0, 0, 100) })},
	{"list", openThere(".", unix.O_RDONLY|unix.O_DIRECTORY, func(fd int) error {
		names := make([]byte, 4096)
		n, err := unix.Getdents(fd, names)
		return noLeak(names, n, err)
	})},
	{"read a link", func(dir int) error {
		text := make([]byte, 100)
		n, err := unix.Readlinkat(dir, "text", text)
		return noLeak(text, n, err)
	}},
	{"read an attribute", held("sub", func(path string) error {
		value := make([]byte, 100)
		n, err := unix.Getxattr(path, "user.content", value)
		return noLeak(value, n, err)
	})},
	{"set an attribute", held("sub", func(path string) error { return unix.Setxattr(path, "user.new", []byte("x"), 0) })},
	{"remove an attribute", held("sub", func(path string) error { return unix.Removexattr(path, "user.new") })},
	{"set an attribute of a file", held("file", func(path string) error { return unix.Setxattr(path, "user.x", []byte("x"), 0) })},
	{"chmod", held("sub", func(path string) error { return unix.Chmod(path, 0o700) })},
	{"chmod of a file", held("file", func(path string) error { return unix.Chmod(path, 0o700) })},
	{"truncate", held("file", func(path string) error { return unix.Truncate(path, 3) })},
	{"unlink", func(dir int) error { return unix.Unlinkat(dir, "removed", 0) }},
	{"rename", func(dir int) error { return unix.Renameat2(dir, "renamed", dir, "moved", 0) }},
	{"rename back", func(dir int) error { return unix.Renameat2(dir, "moved", dir, "renamed", 0) }},
	{"rename to another directory", func(dir int) error { return unix.Renameat2(dir, "renamed", dir, "sub/moved", 0) }},
	{"rename from another directory", func(dir int) error { return unix.Renameat2(dir, "sub/moved", dir, "renamed", 0) }},
	{"exchange", func(dir int) error { return unix.Renameat2(dir, "renamed", dir, "other", unix.RENAME_EXCHANGE) }},
	{"rename over", func(dir int) error { return unix.Renameat2(dir, "renamed", dir, "other", 0) }},
	{"mkdir", func(dir int) error { return unix.Mkdirat(dir, "made", 0o700) }},
	{"rename a directory", func(dir int) error { return unix.Renameat2(dir, "made", dir, "sub/made", 0) }},
	{"rename a directory back", func(dir int) error { return unix.Renameat2(dir, "sub/made", dir, "made", 0) }},
	{"rmdir", func(dir int) error { return unix.Unlinkat(dir, "made", unix.AT_REMOVEDIR) }},
	{"symlink", func(dir int) error { return unix.Symlinkat("x", dir, "symlink") }},
	{"unlink the symlink", func(dir int) error { return unix.Unlinkat(dir, "symlink", 0) }},
	{"mkfifo", func(dir int) error { return unix.Mknodat(dir, "fifo", unix.S_IFIFO|0o600, 0) }},
	{"unlink the fifo", func(dir int) error { return unix.Unlinkat(dir, "fifo", 0) }},
	{"link", func(dir int) error { return unix.Linkat(dir, "sub/file", dir, "linked", 0) }},
	{"unlink the link", func(dir int) error { return unix.Unlinkat(dir, "linked", 0) }},
	{"name a file that has no name", func(dir int) error {
		return openThere(".", unix.O_TMPFILE|unix.O_WRONLY, func(fd int) error {
			return unix.Linkat(unix.AT_FDCWD, procPath(fd), dir, "named", unix.AT_SYMLINK_FOLLOW)
		})(dir)
	}},
	{"unlink what was named", func(dir int) error { return unix.Unlinkat(dir, "named", 0) }},
	{"chown", func(dir int) error { return unix.Fchownat(dir, "file", nobody, nobody, unix.AT_SYMLINK_NOFOLLOW) }},
	{"chown the directory", func(dir int) error { return unix.Fchownat(dir, "", nobody, nobody, unix.AT_EMPTY_PATH) }},
	{"set times", func(dir int) error {
		return unix.UtimesNanoAt(dir, "sub/file", []unix.Timespec{{Sec: 1}, {Sec: 1}}, unix.AT_SYMLINK_NOFOLLOW)
	}},
}

// noLeak fails if the first n bytes tell of the outside.
func noLeak(seen []byte, n int, err error) error {
	if err == nil && strings.Contains(string(seen[:n]), canary) {
		return errLeak
	}
	return err
}

// openThere opens a name and uses the descriptor.
func openThere(name string, flags int, use func(fd int) error) func(dir int) error {
	return func(dir int) error {
		fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if use == nil {
			return nil
		}
		return use(fd)
	}
}

// held does something with what a name is, held by a descriptor of its path:
// chmod(2) and the like would follow a link.
func held(name string, do func(path string) error) func(dir int) error {
	return func(dir int) error {
		fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		var s unix.Stat_t
		if err := unix.Fstat(fd, &s); err != nil || s.Mode&unix.S_IFMT == unix.S_IFLNK {
			return unix.ELOOP
		}
		return do(procPath(fd))
	}
}
