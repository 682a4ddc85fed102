package integration

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCopyingAndMappingIsAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "copy", root, plainUser)
}

var copyScenarios = []scenario{
	{name: "copy_file_range copies within and between files", given: oneOfEach, when: copyRanges},
	{name: "sendfile and splice copy to a file and from one", given: oneOfEach, when: func(c *client) {
		c.file("other")
		from, to := c.open("file", unix.O_RDONLY, 0), c.open("other", unix.O_RDWR, 0)
		off := int64(3)
		n, err := unix.Sendfile(to, from, &off, 100)
		c.did(fmt.Sprintf("sendfile %d to %d", n, off), err)
		var pipe [2]int
		must(unix.Pipe(pipe[:]))
		c.fds = append(c.fds, pipe[:]...)
		off = 2
		m, err := unix.Splice(from, &off, pipe[1], nil, 7, 0)
		c.did(fmt.Sprintf("splice out %d", m), err)
		off = 1
		m, err = unix.Splice(pipe[0], nil, to, &off, 7, 0)
		c.did(fmt.Sprintf("splice in %d", m), err)
		c.content(to)
	}},
	{name: "cp copies a tree with everything", given: packable, when: func(c *client) {
		c.run("cp", "-a", "--reflink=auto", "packed", "copied")
		c.run("cp", "--reflink=auto", "--sparse=auto", "packed/sparse", "sparse")
		c.tree("copied")
		c.contents("copied/a/file")
		c.getxattr("copied/a/file", "user.x", 100)
		fd := c.open("sparse", unix.O_RDONLY, 0)
		c.layout(fd)
		c.run("diff", "-r", "--no-dereference", "packed/a", "copied/a")
		c.run("mv", "copied", "moved")
		c.run("rm", "-r", "moved")
		c.stat("moved", "copied")
	}},
	{name: "tar packs and unpacks a tree with everything", given: packable, when: func(c *client) {
		c.run("tar", "--create", "--sparse", "--xattrs", "--sort=name", "--file=archive.tar", "packed")
		c.run("tar", "--list", "--file=archive.tar")
		c.mkdir("unpacked", 0o755)
		c.run("tar", "--extract", "--xattrs", "--preserve-permissions", "--file=archive.tar", "--directory=unpacked")
		c.tree("unpacked")
		c.contents("unpacked/packed/a/second name")
		c.getxattr("unpacked/packed/a/file", "user.x", 100)
		c.run("tar", "--compare", "--file=archive.tar", "--directory=unpacked")
		c.run("rm", "-r", "unpacked")
	}},
	{name: "a private mapping keeps what is written to itself", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDONLY, 0)
		m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
		must(err)
		c.note("mapped %q", m[:20])
		copy(m, "written")
		c.note("mapped %q", m[:20])
		c.contents("file")
		c.did("unmap", unix.Munmap(m))
	}},
	{name: "a shared mapping is the file", given: oneOfEach, when: sharedMapping},
	{name: "a mapping ends with the file", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDWR, 0)
		m, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(err)
		c.note("beyond the end, in its page: %q", m[4000:4002])
		c.note("beyond its page: %s", touch(m, 5000))
		c.did("grow", unix.Ftruncate(fd, 6000))
		c.note("in the grown file: %s", touch(m, 5000))
		c.did("cut", unix.Ftruncate(fd, 0))
		c.note("in the cut file: %s", touch(m, 0))
	}},
	{name: "a mapping needs the right descriptor", given: oneOfEach, when: func(c *client) {
		r, w := c.open("file", unix.O_RDONLY, 0), c.open("file", unix.O_WRONLY, 0)
		for _, fd := range []int{r, w} {
			for _, prot := range []int{unix.PROT_READ, unix.PROT_READ | unix.PROT_WRITE, unix.PROT_READ | unix.PROT_EXEC} {
				for _, share := range []int{unix.MAP_SHARED, unix.MAP_PRIVATE} {
					_, err := unix.Mmap(fd, 0, 4096, prot, share)
					c.did(fmt.Sprintf("map %d %d", prot, share), err)
				}
			}
		}
		_, err := unix.Mmap(c.open("directory", unix.O_RDONLY, 0), 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
		c.did("map a directory", err)
	}},
}

// copyRanges copies where that is easy, and where it is not.
func copyRanges(c *client) {
	c.file("other")
	from, to := c.open("file", unix.O_RDWR, 0), c.open("other", unix.O_RDWR, 0)
	c.pwrite(from, strings.Repeat("0123456789", 2000), 10)
	for _, r := range []struct {
		name          string
		in, out       int
		offIn, offOut int64
		size          int
	}{
		{"from the start to the start", from, to, 0, 0, 100},
		{"a little further on", from, to, 3, 700, 1000},
		{"much further on", from, to, 1000, 100000, 18000},
		{"more than there is", from, to, 20000, 0, 5000},
		{"from the end", from, to, 20010, 0, 10},
		{"beyond the end", from, to, 30000, 0, 10},
		{"nothing", from, to, 0, 0, 0},
		{"within a file", from, from, 0, 10000, 5000},
		{"over itself", from, from, 0, 10, 5000},
		{"before the start", from, to, -1, 0, 10},
	} {
		n, err := unix.CopyFileRange(r.in, &r.offIn, r.out, &r.offOut, r.size, 0)
		c.did(fmt.Sprintf("%s: %d, then %d %d", r.name, n, r.offIn, r.offOut), err)
		c.fstat(to)
		c.content(to)
	}
	c.layout(to)
	_, err := unix.CopyFileRange(from, nil, c.open("other", unix.O_RDONLY, 0), nil, 10, 0)
	c.did("to a file that is open for reading", err)
	_, err = unix.CopyFileRange(from, nil, c.open("other", unix.O_WRONLY|unix.O_APPEND, 0), nil, 10, 0)
	c.did("to a file that is open for appending", err)
	_, err = unix.CopyFileRange(c.open("directory", unix.O_RDONLY, 0), nil, to, nil, 10, 0)
	c.did("from a directory", err)
}

// packable makes a tree with one of each kind.
func packable(g *given) {
	g.myFolder("packed", 0o755)
	g.myFolder("packed/a", 0o751)
	g.mine("packed/a/file", 0o640)
	g.xattr("packed/a/file", "user.x", "attribute")
	g.hardLink("packed/a/file", "packed/a/second name")
	g.symlink("file", "packed/a/link")
	must(unix.Lchown(g.path("packed/a/link"), int(g.who.uid), int(g.who.gid)))
	g.special("packed/fifo", unix.S_IFIFO|0o600, 0)
	g.own("packed/fifo", int(g.who.uid), int(g.who.gid), 0o600)
	g.mine("packed/sparse", 0o600)
	must(unix.Truncate(g.path("packed/sparse"), 1<<20))
	g.mine("packed/\xff\n", 0o6755)
}

func sharedMapping(c *client) {
	fd := c.open("file", unix.O_RDWR, 0)
	m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(err)
	copy(m[8:], "MAPPED")
	c.content(fd)
	c.pwrite(fd, "written", 0)
	c.note("mapped %q", m[:15])
	c.did("msync", unix.Msync(m, unix.MS_SYNC))
	c.otherProcess("read", "file")
	c.close(fd)
	copy(m, "after closing")
	c.did("unmap", unix.Munmap(m))
	c.contents("file")
	c.did("unlink", unix.Unlink("file"))
}

// touch reads a byte of a mapping, and tells what came of it.
func touch(m []byte, at int) (seen string) {
	defer func() {
		if recover() != nil {
			seen = "fault"
		}
	}()
	return fmt.Sprint(m[at])
}
