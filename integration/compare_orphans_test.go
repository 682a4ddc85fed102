package integration

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatWasRemovedLivesOnAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "orphans", root, plainUser)
}

var orphanScenarios = []scenario{
	{name: "a file that was unlinked lives on while it is open", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDWR, 0)
		c.did("unlink", unix.Unlink("file"))
		c.useOrphan(fd)
	}},
	{name: "a file that was replaced lives on while it is open", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDWR, 0)
		c.file("new")
		c.did("rename", unix.Rename("new", "file"))
		c.useOrphan(fd)
		c.contents("file")
	}},
	{name: "a file that was unlinked can be opened again through its descriptor", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDONLY, 0)
		c.did("unlink", unix.Unlink("file"))
		again := c.open(procPath(fd), unix.O_RDWR, 0)
		c.write(again, "written by the second")
		c.content(fd)
		c.did("truncate", unix.Truncate(procPath(fd), 4))
		c.did("chmod", unix.Chmod(procPath(fd), 0o600))
		c.did("times", unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd), []unix.Timespec{{Sec: 5}, {Sec: 6}}, 0))
		c.did("setxattr", unix.Setxattr(procPath(fd), "user.x", []byte("x"), 0))
		c.open(procPath(fd), unix.O_RDWR|unix.O_TRUNC, 0)
		c.fstat(fd)
		c.close(fd)
		c.fstat(again)
	}},
	{name: "a file held by its path alone lives on", given: func(g *given) {
		oneOfEach(g)
		g.hardLink("file", "never looked up")
	}, when: func(c *client) {
		held := []int{c.open("file", unix.O_PATH, 0), c.open("directory", unix.O_PATH, 0), c.open("fifo", unix.O_PATH, 0), c.open("link", unix.O_PATH|unix.O_NOFOLLOW, 0)}
		c.did("rmdir", unix.Rmdir("directory"))
		for _, name := range []string{"file", "fifo", "link"} {
			c.did("unlink", unix.Unlink(name))
		}
		for _, fd := range held {
			c.fstat(fd)
			c.did("chown", unix.Fchownat(fd, "", -1, unix.Getgid(), unix.AT_EMPTY_PATH))
			c.did("open", tryOpen(unix.O_RDWR)(procPath(fd)))
			buf := make([]byte, 100)
			n, err := unix.Readlinkat(fd, "", buf)
			c.did(fmt.Sprintf("readlink %q", buf[:max(n, 0)]), err)
		}
		c.stat("never looked up")
	}},
	{name: "the names of a file go one by one, in either order", given: func(g *given) {
		for _, name := range []string{"a", "b"} {
			g.mine(name, 0o644)
			g.hardLink(name, name+" again")
			g.hardLink(name, name+" once more")
		}
	}, when: func(c *client) {
		for _, order := range [][]string{{"a", "a again", "a once more"}, {"b once more", "b again", "b"}} {
			fd, path := c.open(order[0], unix.O_RDWR, 0), c.open(order[0], unix.O_PATH, 0)
			c.stat(order[1])
			for _, name := range order {
				c.did("unlink", unix.Unlink(name))
				c.fstat(fd)
				c.fstat(path)
				c.did("chmod", unix.Fchmod(fd, 0o604))
				c.did("open", tryOpen(unix.O_RDONLY)(procPath(path)))
				c.did("set", unix.Fsetxattr(fd, "user.x", []byte(name), 0))
			}
		}
	}},
	{name: "a name that is made anew is another file", given: oneOfEach, when: func(c *client) {
		old := c.open("file", unix.O_RDWR, 0)
		c.did("unlink", unix.Unlink("file"))
		c.file("file")
		c.pwrite(old, "old", 0)
		c.contents("file")
		c.content(old)
		c.stat("file")
		c.fstat(old)
	}},
	{name: "a working directory that was removed is empty and stays so", when: func(c *client) {
		c.mkdir("directory", 0o755)
		must(unix.Chdir("directory"))
		fd := c.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		c.did("rmdir", unix.Rmdir("../directory"))
		buf := make([]byte, unix.PathMax)
		_, err := unix.Getcwd(buf)
		c.did("getcwd", err)
		c.stat(".")
		c.fstat(fd)
		c.noteNames(fd)
		c.makeEverything("", 0o644)
		c.did("rename", unix.Rename("../missing", "x"))
		c.did("chmod", unix.Chmod(".", 0o700))
		c.did("setxattr", unix.Setxattr(".", "user.x", []byte("x"), 0))
		c.did("fsync", unix.Fsync(fd))
		c.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		c.did("statfs", unix.Statfs(".", &unix.Statfs_t{}))
		c.stat("..", "../directory")
		c.did("go up", unix.Chdir(".."))
		c.tree(".")
	}},
	{name: "a working directory that was replaced is empty and stays so", when: func(c *client) {
		c.mkdir("directory", 0o755)
		c.mkdir("new", 0o755)
		c.file("new/file")
		must(unix.Chdir("directory"))
		c.did("rename", unix.Rename("../new", "../directory"))
		c.stat(".")
		c.file("file")
		c.did("go to the new one", unix.Chdir("../directory"))
		c.tree(".")
	}},
	{name: "a working directory that was moved has its content", when: func(c *client) {
		c.mkdir("a", 0o755)
		c.mkdir("b", 0o755)
		c.mkdir("a/directory", 0o755)
		must(unix.Chdir("a/directory"))
		c.did("rename", unix.Rename("../../a/directory", "../../b/moved"))
		c.file("file")
		c.stat("..")
		c.tree("../../b")
		c.did("rename what is above", unix.Rename("../../b", "../../c"))
		c.contents("file")
		c.mkdir("below", 0o755)
		c.tree("../../c")
	}},
	{name: "a directory with open files below it is moved and moved back", when: func(c *client) {
		c.mkdir("a", 0o755)
		c.mkdir("a/b", 0o755)
		c.file("a/b/file")
		fd := c.open("a/b/file", unix.O_RDWR, 0)
		path := c.open("a/b/file", unix.O_PATH, 0)
		for _, names := range [][2]string{{"a", "x"}, {"x/b", "y"}, {"x", "a"}, {"y", "a/b"}} {
			c.did("rename", unix.Rename(names[0], names[1]))
			c.write(fd, "text")
			c.fstat(path)
			c.did("chmod", unix.Chmod(procPath(path), 0o640))
		}
		c.tree(".")
	}},
}

// useOrphan does what can be done with an open file without a name.
func (c *client) useOrphan(fd int) {
	c.fstat(fd)
	c.pwrite(fd, "written after it was gone", 0)
	c.pwrite(fd, "and further on", 9000)
	c.did("truncate", unix.Ftruncate(fd, 40))
	c.did("chmod", unix.Fchmod(fd, 0o4711))
	c.did("chown", unix.Fchown(fd, -1, unix.Getgid()))
	c.did("times", unix.Futimes(fd, []unix.Timeval{{Sec: 1}, {Sec: 2}}))
	c.did("allocate", unix.Fallocate(fd, 0, 0, 5000))
	c.did("setxattr", unix.Fsetxattr(fd, "user.x", []byte("x"), 0))
	c.did("fsync", unix.Fsync(fd))
	c.did("statfs", unix.Fstatfs(fd, &unix.Statfs_t{}))
	c.fstat(fd)
	c.content(fd)
	c.did("link", unix.Linkat(unix.AT_FDCWD, procPath(fd), unix.AT_FDCWD, "revived", unix.AT_SYMLINK_FOLLOW))
	c.tree(".")
}
