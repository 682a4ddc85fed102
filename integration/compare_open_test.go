package integration

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpeningAndCreatingIsAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "open", root, plainUser, groupMember)
}

var openScenarios = append([]scenario{
	{name: "a file is created once", when: func(c *client) {
		c.open("file", unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o644)
		c.open("file", unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o644)
		c.open("file", unix.O_CREAT|unix.O_RDWR, 0o600)
		c.stat("file")
	}},
	{name: "a new file can be written by its creator whatever its mode", when: func(c *client) {
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR} {
			name := fmt.Sprint("file", flags)
			fd := c.open(name, unix.O_CREAT|unix.O_EXCL|flags, 0)
			c.write(fd, "text")
			c.content(fd)
			c.fstat(fd)
			c.open(name, flags, 0)
			c.stat(name)
		}
	}},
	{name: "opening truncates, also for who only reads", when: func(c *client) {
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDWR | unix.O_CREAT} {
			name := fmt.Sprint("file", flags)
			c.file(name)
			c.changes(func() { c.open(name, flags|unix.O_TRUNC, 0o600) }, name)
			c.stat(name)
		}
	}},
	{name: "everything written in append mode goes to the end", when: func(c *client) {
		c.file("file")
		fd := c.open("file", unix.O_RDWR|unix.O_APPEND, 0)
		other := c.open("file", unix.O_RDWR, 0)
		c.write(fd, "one")
		c.pwrite(other, "two", 40)
		c.pwrite(fd, "three", 0)
		c.did("truncate", unix.Ftruncate(other, 5))
		c.write(fd, "four")
		c.content(fd)
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		c.did(fmt.Sprintf("flags %#o", flags), err)
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
		c.did("append mode off", err)
		c.pwrite(fd, "FIVE", 0)
		c.content(fd)
	}},
	{name: "two processes append without losing a byte", when: func(c *client) {
		c.file("file")
		c.otherProcess("append-together", "file")
		c.stat("file")
	}},
	{name: "a descriptor for the path alone allows little", when: func(c *client) {
		c.file("file")
		fd := c.open("file", unix.O_PATH, 0)
		c.content(fd)
		c.write(fd, "no")
		c.fstat(fd)
		c.did("chmod", unix.Fchmod(fd, 0o600))
		c.did("chmod by proc", unix.Chmod(procPath(fd), 0o640))
		c.did("chown by descriptor", unix.Fchownat(fd, "", -1, -1, unix.AT_EMPTY_PATH))
		c.contents(procPath(fd))
		c.did("link by descriptor", unix.Linkat(unix.AT_FDCWD, procPath(fd), unix.AT_FDCWD, "second", unix.AT_SYMLINK_FOLLOW))
		c.stat("file", "second")
		dir := c.open(".", unix.O_PATH, 0)
		c.did("stat at", unix.Fstatat(dir, "file", &unix.Stat_t{}, 0))
	}},
	{name: "a symbolic link itself can be held, and read, by its descriptor", when: func(c *client) {
		c.did("symlink", unix.Symlink("nowhere", "link"))
		c.open("link", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
		fd := c.open("link", unix.O_PATH|unix.O_NOFOLLOW, 0)
		c.fstat(fd)
		buf := make([]byte, 100)
		n, err := unix.Readlinkat(fd, "", buf)
		c.did(fmt.Sprintf("readlink %q", buf[:max(n, 0)]), err)
	}},
	{name: "a file is created where a dangling link leads", when: func(c *client) {
		c.did("symlink", unix.Symlink("target", "link"))
		c.open("link", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
		fd := c.open("link", unix.O_CREAT|unix.O_WRONLY, 0o604)
		c.write(fd, "through the link")
		c.stat("link", "target")
	}},
	{name: "a file without a name is given one", when: func(c *client) {
		fd := c.open(".", unix.O_TMPFILE|unix.O_RDWR, 0o666)
		c.write(fd, "in a file without a name")
		c.fstat(fd)
		c.tree(".")
		c.did("link", unix.Linkat(unix.AT_FDCWD, procPath(fd), unix.AT_FDCWD, "file", unix.AT_SYMLINK_FOLLOW))
		c.fstat(fd)
		c.tree(".")
		c.contents("file")
	}},
	{name: "a file without a name can be barred from having one", when: func(c *client) {
		c.open(".", unix.O_TMPFILE|unix.O_RDONLY, 0o600)
		fd := c.open(".", unix.O_TMPFILE|unix.O_EXCL|unix.O_WRONLY, 0o600)
		c.did("link", unix.Linkat(unix.AT_FDCWD, procPath(fd), unix.AT_FDCWD, "file", unix.AT_SYMLINK_FOLLOW))
		c.open("missing", unix.O_TMPFILE|unix.O_RDWR, 0o600)
	}},
	{name: "a file without a name has the mode and the group that one with a name has", given: setgidDirectories, when: func(c *client) {
		for _, umask := range []int{0, 0o027} {
			unix.Umask(umask)
			for _, dir := range setgidNames {
				c.makeUnnamed(dir)
			}
		}
	}},
	{name: "access times can be left alone by the owner only", given: func(g *given) {
		g.mine("mine", 0o644)
		g.file("other's", stranger, stranger, 0o666)
	}, when: func(c *client) {
		for _, name := range []string{"mine", "other's"} {
			c.changes(func() {
				if fd := c.open(name, unix.O_RDONLY|unix.O_NOATIME, 0); fd >= 0 {
					c.content(fd)
				}
			}, name)
			c.changes(func() { c.contents(name) }, name)
		}
		c.open(".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOATIME, 0)
	}},
	{name: "a running program cannot be written", when: func(c *client) {
		c.run("cp", "/bin/sleep", "program")
		c.otherProcess("write-while-running", "./program")
		c.did("write afterwards", unix.Truncate("program", 0))
	}},
	{name: "a program and a script run from here", when: func(c *client) {
		c.run("cp", "/bin/echo", "program")
		c.run("./program", "it runs")
		fd := c.open("script", unix.O_CREAT|unix.O_WRONLY, 0o755)
		c.write(fd, "#!/bin/sh\necho \"$0 $1\"\n")
		c.close(fd)
		c.run("./script", "it runs too")
		c.did("chmod", unix.Chmod("script", 0o644))
		c.run("./script", "it does not")
	}},
}, umaskScenarios...)

// umaskScenarios make everything there is to make under several umasks.
var umaskScenarios = func() (scenarios []scenario) {
	for _, umask := range []int{0, 0o022, 0o027, 0o077, 0o777} {
		scenarios = append(scenarios, scenario{name: fmt.Sprintf("new files under umask %03o", umask), when: func(c *client) {
			unix.Umask(umask)
			c.makeEverything("", 0o7777)
			c.makeEverything("less ", 0o640)
			unix.Umask(0o022)
			c.tree(".")
		}})
	}
	return scenarios
}()

// makeEverything makes one of each kind.
func (c *client) makeEverything(prefix string, mode uint32) {
	c.open(prefix+"file", unix.O_CREAT|unix.O_RDWR, mode)
	c.mkdir(prefix+"directory", mode)
	c.did("mkfifo", unix.Mkfifo(prefix+"fifo", mode))
	c.did("mknod", unix.Mknod(prefix+"made file", unix.S_IFREG|mode, 0))
	c.did("socket", unix.Mknod(prefix+"socket", unix.S_IFSOCK|mode, 0))
	c.did("symlink", unix.Symlink("file", prefix+"link"))
}

// makeUnnamed makes files without a name.
func (c *client) makeUnnamed(dir string) {
	for _, mode := range []uint32{0, 0o7777, 0o640, 0o2745} {
		c.fstat(c.open(dir, unix.O_TMPFILE|unix.O_RDWR, mode))
	}
}

func procPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
