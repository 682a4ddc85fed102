package integration

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// What a full file system answers is compared on two small ones.
func TestAFullFileSystemAnswersAsItDoesWithoutTheMount(t *testing.T) {
	s := newSides(t)
	s.mountSmall(t, "size=1m,nr_inodes=40,mode=755")
	s.mount(t, fs.Options{})
	s.prepare(t, "full", plainUser)
	s.play(t, "full", plainUser)
}

var fullScenarios = []scenario{
	{name: "writing ends where the space does, and goes on when there is some", when: func(c *client) {
		fd := c.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
		c.fill(fd)
		c.fstat(fd)
		c.pwrite(fd, "in place", 0)
		c.pwrite(fd, "further on", 4<<20)
		c.did("allocate", unix.Fallocate(fd, 0, 0, 2<<20))
		c.did("fsync", unix.Fsync(fd))
		c.did("truncate", unix.Ftruncate(fd, 8192))
		c.pwrite(fd, "there is space again", 8192)
		c.fstat(fd)
		c.did("unlink", unix.Unlink("file"))
	}},
	{name: "the header of a file in a full file system can be written in pieces", when: func(c *client) {
		small := c.open("small", unix.O_CREAT|unix.O_RDWR, 0o644)
		empty := c.open("empty", unix.O_CREAT|unix.O_RDWR, 0o644)
		c.pwrite(small, "x", 0)
		c.fill(c.open("file", unix.O_CREAT|unix.O_RDWR, 0o644))
		for off := int64(0); off < 600; off += 60 {
			c.pwrite(small, "a piece of the header", off)
			c.pwrite(empty, "a piece of the header", off)
		}
		c.did("truncate", unix.Ftruncate(empty, 700))
		c.content(small)
		c.content(empty)
		c.fstat(empty)
		c.did("unlink", unix.Unlink("file"))
	}},
	{name: "making files ends where the inodes do", when: func(c *client) {
		made := 0
		for unix.Mkfifo(fmt.Sprint("fifo", made), 0o644) == nil {
			made++
		}
		c.note("%d made", made)
		c.makeEverything("", 0o644)
		c.makeUnnamed(".")
		c.did("rename", unix.Rename("fifo0", "renamed"))
		c.did("unlink", unix.Unlink("renamed"))
		c.tree(".")
		c.did("remove", removeContent("."))
	}},
	{name: "what was removed makes room at once", when: func(c *client) {
		for {
			n, err := unix.Open(fmt.Sprint("file", len(c.fds)), unix.O_CREAT|unix.O_CLOEXEC, 0o644)
			if err != nil {
				break
			}
			c.fds = append(c.fds, n)
		}
		c.closeAll()
		failed := 0
		for range 100 {
			must(unix.Unlink("file0"))
			for unix.Mknod("file0", unix.S_IFREG|0o644, 0) != nil {
				failed++
			}
		}
		c.note("%d times there was no room", failed)
		c.did("remove", removeContent("."))
	}},
}

// fill writes until nothing more can be written, in steps of 10,000 bytes.
func (c *client) fill(fd int) {
	buf, written := make([]byte, 10000), 0
	for {
		n, err := unix.Write(fd, buf)
		written += max(n, 0)
		if err != nil || n == 0 {
			c.did(fmt.Sprintf("filled with %d", written), err)
			return
		}
	}
}
