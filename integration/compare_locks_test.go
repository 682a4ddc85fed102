package integration

import (
	"fmt"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLocksAreAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "locks", root, plainUser)
}

// What another process is refused is tried by the helpers "flock" and "lock".
var lockScenarios = []scenario{
	{name: "flock excludes other descriptors, of this process and of others", when: func(c *client) {
		c.file("file")
		one, two := c.open("file", unix.O_RDONLY, 0), c.open("file", unix.O_RDONLY, 0)
		for _, how := range []int{unix.LOCK_EX, unix.LOCK_SH, unix.LOCK_UN} {
			c.did(fmt.Sprintf("flock %d", how), unix.Flock(one, how|unix.LOCK_NB))
			for _, other := range []int{unix.LOCK_EX, unix.LOCK_SH} {
				c.did(fmt.Sprintf("a second descriptor, %d", other), unix.Flock(two, other|unix.LOCK_NB))
				c.did("unlock", unix.Flock(two, unix.LOCK_UN))
				c.otherProcess("flock", "file", strconv.Itoa(other))
			}
		}
		c.did("lock", unix.Flock(one, unix.LOCK_EX))
		c.close(one)
		c.otherProcess("flock", "file", strconv.Itoa(unix.LOCK_EX))
	}},
	{name: "directories take flock too", when: func(c *client) {
		c.mkdir("directory", 0o755)
		fd := c.open("directory", unix.O_RDONLY, 0)
		c.did("flock", unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB))
		c.otherProcess("flock", "directory", strconv.Itoa(unix.LOCK_SH))
	}},
	{name: "record locks exclude other processes, by ranges", when: func(c *client) {
		c.file("file")
		fd := c.open("file", unix.O_RDWR, 0)
		c.lock(fd, unix.F_SETLK, unix.F_WRLCK, 10, 10)
		c.lock(fd, unix.F_SETLK, unix.F_RDLCK, 100, 0)
		for _, args := range [][]string{{"10", "1"}, {"0", "10"}, {"19", "1"}, {"20", "10"}, {"200", "1"}, {"0", "0"}} {
			for _, kind := range []int{unix.F_RDLCK, unix.F_WRLCK} {
				c.otherProcess("lock", "file", strconv.Itoa(kind), args[0], args[1])
			}
		}
		c.lock(fd, unix.F_SETLK, unix.F_UNLCK, 12, 3)
		c.otherProcess("lock", "file", strconv.Itoa(unix.F_WRLCK), "12", "3")
		c.close(c.open("file", unix.O_RDONLY, 0)) // closing any descriptor ends all of them
		c.otherProcess("lock", "file", strconv.Itoa(unix.F_WRLCK), "0", "0")
	}},
	{name: "open file description locks exclude other descriptors", when: func(c *client) {
		c.file("file")
		one, two := c.open("file", unix.O_RDWR, 0), c.open("file", unix.O_RDWR, 0)
		c.lock(one, unix.F_OFD_SETLK, unix.F_WRLCK, 0, 10)
		c.lock(two, unix.F_OFD_SETLK, unix.F_WRLCK, 5, 10)
		c.lock(two, unix.F_OFD_SETLK, unix.F_WRLCK, 10, 10)
		c.lock(two, unix.F_OFD_GETLK, unix.F_WRLCK, 0, 1)
		c.otherProcess("lock", "file", strconv.Itoa(unix.F_RDLCK), "0", "1")
		c.close(c.open("file", unix.O_RDWR, 0))
		c.otherProcess("lock", "file", strconv.Itoa(unix.F_RDLCK), "0", "1")
		c.close(one)
		c.lock(two, unix.F_OFD_SETLK, unix.F_WRLCK, 0, 10)
	}},
	{name: "a lock needs a descriptor of its kind", when: func(c *client) {
		c.file("file")
		r, w := c.open("file", unix.O_RDONLY, 0), c.open("file", unix.O_WRONLY, 0)
		c.lock(r, unix.F_SETLK, unix.F_WRLCK, 0, 1)
		c.lock(w, unix.F_SETLK, unix.F_RDLCK, 0, 1)
		c.lock(r, unix.F_SETLK, unix.F_RDLCK, 0, 1)
		c.lock(w, unix.F_SETLK, unix.F_WRLCK, -5, 1)
		c.did("flock on a path", unix.Flock(c.open("file", unix.O_PATH, 0), unix.LOCK_SH))
	}},
	{name: "locks outlive the name", when: func(c *client) {
		c.file("file")
		c.did("link", unix.Link("file", "second name"))
		fd := c.open("file", unix.O_RDWR, 0)
		c.lock(fd, unix.F_SETLK, unix.F_WRLCK, 0, 0)
		c.did("flock", unix.Flock(fd, unix.LOCK_EX))
		c.did("unlink", unix.Unlink("file"))
		c.otherProcess("lock", "second name", strconv.Itoa(unix.F_WRLCK), "0", "0")
		c.otherProcess("flock", "second name", strconv.Itoa(unix.LOCK_SH))
	}},
	{name: "a lease is broken by who opens", when: func(c *client) {
		c.file("file")
		fd := c.open("file", unix.O_RDONLY, 0)
		for _, kind := range []int{unix.F_RDLCK, unix.F_WRLCK, unix.F_UNLCK} {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, kind)
			c.did(fmt.Sprintf("lease %d", kind), err)
			got, err := unix.FcntlInt(uintptr(fd), unix.F_GETLEASE, 0)
			c.did(fmt.Sprintf("have %d", got), err)
		}
	}},
}

// lock sets or asks for a record lock.
func (c *client) lock(fd, call, kind int, start, size int64) {
	l := unix.Flock_t{Type: int16(kind), Start: start, Len: size}
	err := unix.FcntlFlock(uintptr(fd), call, &l)
	c.did(fmt.Sprintf("lock %d %d from %d, %d bytes: type %d from %d, %d bytes", call, kind, start, size, l.Type, l.Start, l.Len), err)
}
