package integration

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEveryCallAnswersEveryPathAsOnTheBackingFileSystem(t *testing.T) {
	compareInMemory(t, "paths", root, plainUser)
}

// pathScenarios try every call on one path each: the rows and columns of the
// tables that POSIX has under ERRORS.
var pathScenarios = func() (scenarios []scenario) {
	for _, path := range paths {
		scenarios = append(scenarios, scenario{
			name: "every call on " + path.name,
			when: func(c *client) { c.tryEverything(path.path) },
		})
	}
	return scenarios
}()

var (
	name255 = strings.Repeat("n", 255)
	// A path is at most PATH_MAX bytes with its final zero byte.
	longestPath = strings.Repeat("./", (unix.PathMax-1-len("file"))/2) + "/file"
)

var paths = []struct{ name, path string }{
	{"a file", "file"},
	{"a directory", "directory"},
	{"an empty directory", "empty"},
	{"a fifo", "fifo"},
	{"a link to a file", "link to file"},
	{"a link to a directory", "link to directory"},
	{"a dangling link", "dangling"},
	{"a link to itself", "loop"},
	{"a name that is not there", "missing"},
	{"a file with a slash behind it", "file/"},
	{"a directory with a slash behind it", "empty/"},
	{"a link to a file with a slash behind it", "link to file/"},
	{"a link to a directory with a slash behind it", "link to directory/"},
	{"a dangling link with a slash behind it", "dangling/"},
	{"a missing name with a slash behind it", "missing/"},
	{"a name below a file", "file/x"},
	{"a name below a link to a directory", "link to directory/inside"},
	{"a name below a missing directory", "missing/x"},
	{"a name below a dangling link", "dangling/x"},
	{"a name below a link to itself", "loop/x"},
	{"an empty path", ""},
	{"the directory itself", "."},
	{"the directory above", ".."},
	{"a directory by its own dot", "directory/."},
	{"a directory by dots from below", "directory/../directory"},
	{"dots below a file", "file/.."},
	{"the longest name", name255},
	{"a name that is too long", name255 + "n"},
	{"a name below one that is too long", name255 + "n/x"},
	{"the longest path", longestPath},
	{"a path that is too long", longestPath + "xx"},
	{"a name that is not UTF-8", "\xff\xfe\x80"},
	{"a name with a newline and a quote", "new\nline 'and' \"quotes\"\\"},
	{"a name of blanks", "  "},
	{"a name that begins with a dash", "-rf"},
}

// A pathCall is a system call on a path.
type pathCall struct {
	name    string
	changes bool
	do      func(path string) error
}

var pathCalls = []pathCall{
	{"stat", false, func(path string) error { return unix.Stat(path, &unix.Stat_t{}) }},
	{"lstat", false, func(path string) error { return unix.Lstat(path, &unix.Stat_t{}) }},
	{"statfs", false, func(path string) error { return unix.Statfs(path, &unix.Statfs_t{}) }},
	{"access for reading", false, func(path string) error { return unix.Access(path, unix.R_OK) }},
	{"access for writing", false, func(path string) error { return unix.Access(path, unix.W_OK) }},
	{"access for execution", false, func(path string) error { return unix.Access(path, unix.X_OK) }},
	{"readlink", false, func(path string) error { _, err := unix.Readlink(path, make([]byte, 100)); return err }},
	{"open for reading", false, tryOpen(unix.O_RDONLY)},
	{"open for writing", false, tryOpen(unix.O_WRONLY)},
	{"open, a directory", false, tryOpen(unix.O_RDONLY | unix.O_DIRECTORY)},
	{"open, no link", false, tryOpen(unix.O_RDONLY | unix.O_NOFOLLOW)},
	{"open, path only", false, tryOpen(unix.O_PATH)},
	{"open, path only of a link", false, tryOpen(unix.O_PATH | unix.O_NOFOLLOW)},
	{"open and truncate", true, tryOpen(unix.O_WRONLY | unix.O_TRUNC)},
	{"open or create", true, tryOpen(unix.O_WRONLY | unix.O_CREAT)},
	{"create", true, tryOpen(unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL)},
	{"create, no link", true, tryOpen(unix.O_WRONLY | unix.O_CREAT | unix.O_NOFOLLOW)},
	{"create a directory by open", true, tryOpen(unix.O_RDONLY | unix.O_CREAT | unix.O_DIRECTORY)},
	{"getxattr", false, func(path string) error { _, err := unix.Getxattr(path, "user.x", nil); return err }},
	{"listxattr", false, func(path string) error { _, err := unix.Listxattr(path, nil); return err }},
	{"setxattr", true, func(path string) error { return unix.Setxattr(path, "user.x", []byte("x"), 0) }},
	{"lsetxattr", true, func(path string) error { return unix.Lsetxattr(path, "user.x", []byte("x"), 0) }},
	{"removexattr", false, func(path string) error { return unix.Removexattr(path, "user.y") }},
	{"truncate", true, func(path string) error { return unix.Truncate(path, 3) }},
	{"truncate to less than nothing", false, func(path string) error { return unix.Truncate(path, -1) }},
	{"chmod", true, func(path string) error { return unix.Chmod(path, 0o711) }},
	{"chmod of a link", true, func(path string) error {
		return unix.Fchmodat(unix.AT_FDCWD, path, 0o711, unix.AT_SYMLINK_NOFOLLOW)
	}},
	{"chown", true, func(path string) error { return unix.Chown(path, -1, nobody) }},
	{"lchown", true, func(path string) error { return unix.Lchown(path, -1, nobody) }},
	{"utimensat", true, func(path string) error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Sec: 1}, {Sec: 2}}, 0)
	}},
	{"utimensat of a link", true, func(path string) error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Sec: 1}, {Sec: 2}}, unix.AT_SYMLINK_NOFOLLOW)
	}},
	{"mkdir", true, func(path string) error { return unix.Mkdir(path, 0o755) }},
	{"mkfifo", true, func(path string) error { return unix.Mkfifo(path, 0o644) }},
	{"make a socket", true, func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o644, 0) }},
	{"make a file with mknod", true, func(path string) error { return unix.Mknod(path, unix.S_IFREG|0o644, 0) }},
	{"make a device", true, func(path string) error {
		return unix.Mknod(path, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3)))
	}},
	{"symlink", true, func(path string) error { return unix.Symlink("file", path) }},
	{"symlink to it", true, func(path string) error { return unix.Symlink(path, "new") }},
	{"link it", true, func(path string) error { return unix.Link(path, "new") }},
	{"link what it leads to", true, func(path string) error {
		return unix.Linkat(unix.AT_FDCWD, path, unix.AT_FDCWD, "new", unix.AT_SYMLINK_FOLLOW)
	}},
	{"link to it", true, func(path string) error { return unix.Link("file", path) }},
	{"rename it", true, func(path string) error { return unix.Rename(path, "new") }},
	{"rename it, ending in a slash", true, func(path string) error { return unix.Rename(path, "new/") }},
	{"rename a file to it", true, func(path string) error { return unix.Rename("file", path) }},
	{"rename a directory to it", true, func(path string) error { return unix.Rename("directory", path) }},
	{"unlink", true, unix.Unlink},
	{"rmdir", true, unix.Rmdir},
	{"chdir", true, unix.Chdir},
}

func tryOpen(flags int) func(path string) error {
	return func(path string) error {
		fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o644)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

// tryEverything tries every call on a path, each in the same surroundings.
func (c *client) tryEverything(path string) {
	base := c.open(".", unix.O_PATH|unix.O_DIRECTORY, 0)
	c.surround()
	for _, call := range pathCalls {
		if succeeded := c.did(call.name, call.do(path)); !succeeded || !call.changes {
			continue
		}
		must(unix.Fchdir(base))
		c.tree("arena")
		must(os.RemoveAll("arena"))
		c.surround()
	}
}

// surround makes an arena with one of each kind, and goes there.
func (c *client) surround() {
	must(unix.Mkdir("arena", 0o755))
	must(unix.Chdir("arena"))
	must(unix.Mknod("file", unix.S_IFREG|0o644, 0))
	must(unix.Mkdir("directory", 0o755))
	must(unix.Link("file", "directory/inside"))
	must(unix.Mkdir("empty", 0o755))
	must(unix.Mkfifo("fifo", 0o644))
	must(unix.Symlink("file", "link to file"))
	must(unix.Symlink("directory", "link to directory"))
	must(unix.Symlink("nowhere", "dangling"))
	must(unix.Symlink("loop", "loop"))
}
