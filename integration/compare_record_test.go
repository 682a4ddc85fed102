package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outcome is the name of an error's errno, or "ok".
func outcome(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// open opens a file until the scenario ends, and notes how that went.
func (c *client) open(name string, flags int, mode uint32) int {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, mode)
	c.did(fmt.Sprintf("open %s %#o %#o", short(name), flags, mode), err)
	if err != nil {
		return -1
	}
	c.fds = append(c.fds, fd)
	return fd
}

func (c *client) close(fd int) { c.did("close", unix.Close(fd)) }

// file makes a file with some content.
func (c *client) file(name string) {
	fd := c.open(name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o666)
	c.write(fd, "content of "+name)
	c.close(fd)
}

func (c *client) mkdir(name string, mode uint32) {
	c.did("mkdir "+short(name), unix.Mkdir(name, mode))
}

func (c *client) write(fd int, text string) {
	n, err := unix.Write(fd, []byte(text))
	c.did(fmt.Sprintf("write %d", n), err)
}

func (c *client) pwrite(fd int, text string, off int64) {
	n, err := unix.Pwrite(fd, []byte(text), off)
	c.did(fmt.Sprintf("write %d at %d", n, off), err)
}

// content notes what a descriptor reads from the start.
func (c *client) content(fd int) {
	buf := make([]byte, 8192)
	n, err := unix.Pread(fd, buf, 0)
	c.did(fmt.Sprintf("read %q", strings.ReplaceAll(string(buf[:max(n, 0)]), "\x00\x00\x00\x00\x00\x00\x00\x00", "_")), err)
}

// contents notes what is in a file.
func (c *client) contents(name string) {
	if fd := c.open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0); fd >= 0 {
		c.content(fd)
	}
}

// stat notes what kind of thing is at each name, without following links.
func (c *client) stat(names ...string) {
	for _, name := range names {
		var s unix.Stat_t
		if c.did("stat "+short(name), unix.Lstat(name, &s)) {
			c.note("%s%s", describe(&s), target(name))
		}
	}
}

// target is what a symbolic link says.
func target(name string) string {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink(name, buf)
	if err != nil {
		return ""
	}
	return " to " + short(string(buf[:n]))
}

// fstat notes what an open descriptor is of.
func (c *client) fstat(fd int) {
	var s unix.Stat_t
	if c.did("fstat", unix.Fstat(fd, &s)) {
		c.note("%s", describe(&s))
	}
}

var typeNames = map[uint32]string{
	unix.S_IFREG: "file", unix.S_IFDIR: "directory", unix.S_IFLNK: "link", unix.S_IFIFO: "fifo",
	unix.S_IFSOCK: "socket", unix.S_IFCHR: "character device", unix.S_IFBLK: "block device",
}

func describe(s *unix.Stat_t) string {
	text := fmt.Sprintf("%s %04o owner %d:%d links %d size %d block size %d",
		typeNames[s.Mode&unix.S_IFMT], s.Mode&0o7777, s.Uid, s.Gid, s.Nlink, s.Size, s.Blksize)
	if s.Rdev != 0 {
		text += fmt.Sprintf(" device %d:%d", unix.Major(s.Rdev), unix.Minor(s.Rdev))
	}
	return text
}

// same notes whether two names are of one inode.
func (c *client) same(a, b string) {
	var one, two unix.Stat_t
	if c.did("stat "+a, unix.Lstat(a, &one)) && c.did("stat "+b, unix.Lstat(b, &two)) {
		c.note("%s and %s are the same: %t", a, b, one.Ino == two.Ino && one.Dev == two.Dev)
	}
}

// tick is longer than the clock that coarse file times are taken from.
const tick = 12 * time.Millisecond

// changes notes which times of the named files a step changes.
func (c *client) changes(step func(), names ...string) {
	before := make([]unix.Stat_t, len(names))
	for i, name := range names {
		_ = unix.Lstat(name, &before[i]) // zero times where there is nothing yet
	}
	time.Sleep(tick)
	step()
	for i, name := range names {
		var after unix.Stat_t
		if c.did("stat "+name, unix.Lstat(name, &after)) {
			c.note("%s: changed %s", name, changedTimes(&before[i], &after))
		}
	}
}

func changedTimes(before, after *unix.Stat_t) []string {
	changed := []string{}
	for name, pair := range map[string][2]unix.Timespec{
		"atime": {before.Atim, after.Atim}, "mtime": {before.Mtim, after.Mtim}, "ctime": {before.Ctim, after.Ctim},
	} {
		if pair[0] != pair[1] {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}

// tree notes everything at and below a directory, names sorted.
func (c *client) tree(dir string) {
	c.stat(dir)
	entries, err := readEntries(dir)
	c.did("list "+short(dir), err)
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for _, e := range entries {
		switch name := dir + "/" + e.name; {
		case e.name == "." || e.name == "..":
		case e.kind == unix.DT_DIR:
			c.tree(name)
		default:
			c.stat(name)
		}
	}
}

// short keeps a long name readable.
func short(name string) string {
	if len(name) > 60 {
		return fmt.Sprintf("%q... (%d bytes)", name[:20], len(name))
	}
	return fmt.Sprintf("%q", name)
}

// must ends the scenario where its own preparation fails.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
