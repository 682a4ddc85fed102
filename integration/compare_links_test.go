package integration

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNamesAndLinksAreAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "links", root, plainUser)
}

var linkScenarios = []scenario{
	{name: "a symbolic link keeps any text", when: func(c *client) {
		for _, text := range []string{"x", "/", "a//b/../c/", "\xff\xfe\n", strings.Repeat("l", 59), strings.Repeat("l", 60), strings.Repeat("d/", 500), strings.Repeat("d/", 2047) + "d", strings.Repeat("d/", 2048)} {
			c.did("symlink to "+short(text), unix.Symlink(text, "link"))
			c.stat("link")
			c.did("unlink", unix.Unlink("link"))
		}
	}},
	{name: "reading a symbolic link into too little room cuts it", when: func(c *client) {
		c.did("symlink", unix.Symlink("a long target", "link"))
		for _, size := range []int{0, 1, 6, 13, 14} {
			buf := make([]byte, size)
			n, err := unix.Readlink("link", buf)
			c.did(fmt.Sprintf("readlink into %d: %q", size, buf[:max(n, 0)]), err)
		}
	}},
	{name: "forty links are followed, and one more is too many", when: func(c *client) {
		c.file("0")
		for i := range 42 {
			must(unix.Symlink(fmt.Sprint(i), fmt.Sprint(i+1)))
		}
		for _, i := range []string{"39", "40", "41", "42"} {
			c.did("stat "+i, unix.Stat(i, &unix.Stat_t{}))
		}
	}},
	{name: "a link to a symbolic link is another name of the link", when: func(c *client) {
		c.did("symlink", unix.Symlink("nowhere", "link"))
		c.did("link", unix.Link("link", "second name"))
		c.stat("link", "second name")
		c.same("link", "second name")
		c.did("link where it leads", unix.Linkat(unix.AT_FDCWD, "link", unix.AT_FDCWD, "third", unix.AT_SYMLINK_FOLLOW))
	}},
	{name: "a link may be in another directory, of no directory", when: func(c *client) {
		c.mkdir("a", 0o755)
		c.mkdir("b", 0o755)
		c.file("a/file")
		c.did("link", unix.Link("a/file", "b/file"))
		c.did("link a directory", unix.Link("a", "c"))
		c.same("a/file", "b/file")
		c.did("unlink", unix.Unlink("a/file"))
		c.tree(".")
		c.contents("b/file")
	}},
	{name: "what is done by one name is seen by the other", when: func(c *client) {
		c.file("one")
		c.did("link", unix.Link("one", "two"))
		c.did("chmod", unix.Chmod("one", 0o600))
		c.did("truncate", unix.Truncate("two", 5))
		c.stat("one", "two")
		fd := c.open("two", unix.O_WRONLY|unix.O_APPEND, 0)
		c.write(fd, "appended")
		c.contents("one")
		c.stat("one", "two")
	}},
	{name: "linking changes times of the file and of the directory", when: func(c *client) {
		c.mkdir("a", 0o755)
		c.file("file")
		c.changes(func() { c.did("link", unix.Link("file", "a/file")) }, "file", "a")
		c.changes(func() { c.did("unlink", unix.Unlink("a/file")) }, "file", "a")
		c.changes(func() { c.did("symlink", unix.Symlink("x", "a/link")) }, "a")
		c.changes(func() { c.mkdir("a/directory", 0o755) }, "a")
		c.changes(func() { c.did("rmdir", unix.Rmdir("a/directory")) }, "a")
		c.changes(func() { c.did("mkfifo", unix.Mkfifo("a/fifo", 0o600)) }, "a")
		c.changes(func() { c.file("a/file") }, "a")
		c.changes(func() { c.contents("a/file") }, "a")
		c.stat("a")
	}},
	{name: "a device has the number and a fifo the mode that it was made with", when: func(c *client) {
		c.did("mkfifo", unix.Mkfifo("fifo", 0o666))
		for i, dev := range []uint64{unix.Mkdev(1, 3), unix.Mkdev(0, 0), unix.Mkdev(259, 300), unix.Mkdev(4095, 0xfffff)} {
			c.did("character", unix.Mknod(fmt.Sprint("c", i), unix.S_IFCHR|0o666, int(dev)))
			c.did("block", unix.Mknod(fmt.Sprint("b", i), unix.S_IFBLK|0o640, int(dev)))
		}
		c.did("socket", unix.Mknod("socket", unix.S_IFSOCK|0o777, 0))
		c.did("file", unix.Mknod("file", unix.S_IFREG|0o4755, 0))
		c.did("of no type", unix.Mknod("untyped", 0o644, 0))
		c.did("directory", unix.Mknod("directory", unix.S_IFDIR|0o755, 0))
		c.did("link", unix.Mknod("link", unix.S_IFLNK|0o755, 0))
		c.tree(".")
	}},
	{name: "a device works", given: func(g *given) {
		g.special("null", unix.S_IFCHR|0o666, unix.Mkdev(1, 3))
		g.special("zero", unix.S_IFCHR|0o666, unix.Mkdev(1, 5))
	}, when: func(c *client) {
		fd := c.open("null", unix.O_RDWR, 0)
		c.write(fd, "gone")
		zero := c.open("zero", unix.O_RDWR, 0)
		buf := []byte("xx")
		n, err := unix.Read(zero, buf)
		c.did(fmt.Sprintf("read %d %q", n, buf), err)
		c.fstat(fd)
	}},
	{name: "a fifo joins two descriptors", when: func(c *client) {
		c.did("mkfifo", unix.Mkfifo("fifo", 0o600))
		c.open("fifo", unix.O_WRONLY|unix.O_NONBLOCK, 0)
		r := c.open("fifo", unix.O_RDONLY|unix.O_NONBLOCK, 0)
		w := c.open("fifo", unix.O_WRONLY|unix.O_NONBLOCK, 0)
		c.write(w, "through the fifo")
		buf := make([]byte, 100)
		n, err := unix.Read(r, buf)
		c.did(fmt.Sprintf("read %q", buf[:max(n, 0)]), err)
	}},
	{name: "a socket is bound to a name and found by it", when: connectByName},
	{name: "a tree deeper than the longest path is built, read and removed step by step", when: deepTree},
	{name: "a directory counts its directories", when: func(c *client) {
		for _, dir := range []string{"a", "a/b", "a/c", "a/c/d"} {
			c.mkdir(dir, 0o755)
		}
		c.stat(".", "a", "a/c")
		c.did("rename", unix.Rename("a/c/d", "a/d"))
		c.did("rmdir", unix.Rmdir("a/b"))
		c.stat(".", "a", "a/c")
		c.did("rmdir what is not empty", unix.Rmdir("a"))
	}},
}

func connectByName(c *client) {
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(err)
	c.fds = append(c.fds, listener)
	c.did("bind", unix.Bind(listener, &unix.SockaddrUnix{Name: "socket"}))
	c.did("listen", unix.Listen(listener, 1))
	c.stat("socket")
	for _, name := range []string{"socket", "missing"} {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(err)
		c.fds = append(c.fds, fd)
		c.did("connect to "+name, unix.Connect(fd, &unix.SockaddrUnix{Name: name}))
	}
	c.did("open", unix.Access("socket", unix.W_OK))
	c.open("socket", unix.O_RDWR, 0)
	c.did("bind again", unix.Bind(listener, &unix.SockaddrUnix{Name: "socket"}))
}

// deepTree needs more than one PATH_MAX to tell where it is.
func deepTree(c *client) {
	const depth = 40
	for range depth {
		must(unix.Mkdir(name255, 0o755))
		must(unix.Chdir(name255))
	}
	buf := make([]byte, 3*unix.PathMax)
	_, err := unix.Getcwd(buf)
	c.did("getcwd", err)
	c.file("file")
	c.mkdir("directory", 0o755)
	c.did("symlink", unix.Symlink("file", "link"))
	c.did("link", unix.Link("file", "second name"))
	c.did("rename", unix.Rename("second name", "directory/moved"))
	c.did("chmod", unix.Chmod("file", 0o600))
	c.did("truncate", unix.Truncate("file", 4))
	c.did("setxattr", unix.Setxattr("file", "user.x", []byte("deep"), 0))
	c.contents("link")
	c.tree(".")
	c.did("remove", removeContent("."))
	for range depth {
		must(unix.Chdir(".."))
		must(unix.Rmdir(name255))
	}
}
