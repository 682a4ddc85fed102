package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestCallsFailAndSucceedAsOnTheBackingFileSystem(t *testing.T) {
	compareInMemory(t, "calls", root, plainUser, groupMember)
}

// callScenarios are what pjdfstest and xfstests look at beyond the other tables.
var callScenarios = []scenario{
	{name: "every combination of flags opens every kind", given: oneOfEach, when: openInEveryWay},
	{name: "what fails changes no times", given: failingGround, when: func(c *client) {
		for _, call := range failingCalls {
			c.changes(func() { c.did(call.name, call.do()) }, "d", "d/file", "d/full")
		}
	}},
	{name: "a descriptor of the wrong kind is told so", given: oneOfEach, when: func(c *client) {
		for _, name := range []string{"file", "directory", "fifo"} {
			for _, flags := range []int{unix.O_RDONLY, unix.O_RDWR, unix.O_PATH} {
				if fd := c.open(name, flags|unix.O_NONBLOCK, 0); fd >= 0 {
					c.useInEveryWay(fd)
				}
			}
		}
	}},
	{name: "single reads and writes can have flags", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDWR, 0)
		for _, flags := range []int{unix.RWF_SYNC, unix.RWF_DSYNC, unix.RWF_APPEND, unix.RWF_HIPRI, 1 << 20} {
			n, err := unix.Pwritev2(fd, [][]byte{[]byte("text")}, 2, flags)
			c.did(fmt.Sprintf("write with %#x: %d", flags, n), err)
			c.content(fd)
			buf := make([]byte, 6)
			n, err = unix.Preadv2(fd, [][]byte{buf}, 1, flags&^unix.RWF_APPEND)
			c.did(fmt.Sprintf("read with %#x: %d %q", flags, n, buf), err)
		}
	}},
	{name: "memory that is not there is told so", given: oneOfEach, when: badAddresses},
	{name: "a descriptor is given another name by who may", given: oneOfEach, when: func(c *client) {
		for i, flags := range []int{unix.O_RDONLY, unix.O_PATH, unix.O_TMPFILE | unix.O_RDWR} {
			name := map[bool]string{true: ".", false: "file"}[flags&unix.O_TMPFILE == unix.O_TMPFILE]
			fd := c.open(name, flags, 0o600)
			c.did("link", unix.Linkat(fd, "", unix.AT_FDCWD, fmt.Sprint("linked", i), unix.AT_EMPTY_PATH))
			c.did("link again", unix.Linkat(fd, "", unix.AT_FDCWD, fmt.Sprint("linked", i), unix.AT_EMPTY_PATH))
		}
		c.tree(".")
	}},
	{name: "access is told for every right", given: accessGround, when: func(c *client) {
		for _, mode := range accessModes {
			for _, right := range []uint32{unix.F_OK, unix.R_OK, unix.W_OK, unix.X_OK, unix.R_OK | unix.W_OK | unix.X_OK, 8} {
				for _, flags := range []int{0, unix.AT_EACCESS, unix.AT_SYMLINK_NOFOLLOW} {
					for _, name := range []string{"file", "directory"} {
						name = fmt.Sprintf("%s %03o", name, mode)
						c.did(fmt.Sprintf("%s: %d with %#x", name, right, flags), unix.Faccessat2(unix.AT_FDCWD, name, right, flags))
					}
				}
			}
		}
	}},
	{name: "a name is any bytes", when: func(c *client) {
		for b := 1; b < 256; b++ {
			name := string([]byte{byte(b)})
			if name == "/" || name == "." {
				continue
			}
			must(unix.Mknod(name, unix.S_IFREG|0o644, 0))
			must(unix.Symlink(name, "link to "+name))
		}
		c.tree(".")
		c.did("remove", removeContent("."))
	}},
	{name: "a path is followed as far as is asked for", given: func(g *given) {
		oneOfEach(g)
		g.symlink("directory", "link to directory")
		g.symlink("/proc/self/cwd", "link to here")
		g.symlink("/etc", "link outside")
		g.mine("directory/file", 0o644)
	}, when: func(c *client) {
		here := c.open(".", unix.O_PATH, 0)
		for _, path := range []string{"file", "link", "directory/../file", "link to directory/file", "link to here/file", "link outside/passwd", "../0", "/etc/passwd", ".."} {
			for _, resolve := range []uint64{0, unix.RESOLVE_BENEATH, unix.RESOLVE_IN_ROOT, unix.RESOLVE_NO_SYMLINKS, unix.RESOLVE_NO_MAGICLINKS, unix.RESOLVE_NO_XDEV} {
				fd, err := unix.Openat2(here, path, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: resolve})
				if err == nil {
					unix.Close(fd)
				}
				c.did(fmt.Sprintf("%s with %#x", path, resolve), err)
			}
		}
	}},
	{name: "who watches a directory hears what is done in it", given: oneOfEach, when: watchDirectory},
}

// openInEveryWay opens with all combinations of the flags that decide what opening
// does.
func openInEveryWay(c *client) {
	must(unix.Symlink("directory", "link to directory"))
	must(unix.Symlink("missing too", "dangling"))
	choices := []int{unix.O_CREAT, unix.O_EXCL, unix.O_TRUNC, unix.O_NOFOLLOW, unix.O_DIRECTORY, unix.O_APPEND}
	for _, name := range []string{"file", "directory", "fifo", "link", "link to directory", "dangling", "missing"} {
		for _, access := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR} {
			for chosen := range 1 << len(choices) {
				flags := access
				for i, flag := range choices {
					if chosen>>i&1 == 1 {
						flags |= flag
					}
				}
				c.did(fmt.Sprintf("%s with %#o", name, flags), tryOpen(flags)(name))
				_, _ = unix.Unlink("missing"), unix.Unlink("missing too") // if it was created
			}
		}
	}
	c.tree(".")
}

func failingGround(g *given) {
	g.myFolder("d", 0o755)
	g.mine("d/file", 0o644)
	g.myFolder("d/full", 0o755)
	g.mine("d/full/file", 0o644)
	g.symlink("x", "d/link")
}

var failingCalls = []struct {
	name string
	do   func() error
}{
	{"create what is there", func() error { return tryOpen(unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY)("d/file") }},
	{"mkdir what is there", func() error { return unix.Mkdir("d/full", 0o755) }},
	{"mkdir below a file", func() error { return unix.Mkdir("d/file/x", 0o755) }},
	{"mkfifo what is there", func() error { return unix.Mkfifo("d/file", 0o644) }},
	{"symlink what is there", func() error { return unix.Symlink("x", "d/link") }},
	{"link what is there", func() error { return unix.Link("d/file", "d/link") }},
	{"link what is not there", func() error { return unix.Link("d/missing", "d/new") }},
	{"link a directory", func() error { return unix.Link("d/full", "d/new") }},
	{"unlink a directory", func() error { return unix.Unlink("d/full") }},
	{"unlink what is not there", func() error { return unix.Unlink("d/missing") }},
	{"rmdir what is not empty", func() error { return unix.Rmdir("d/full") }},
	{"rmdir a file", func() error { return unix.Rmdir("d/file") }},
	{"rename what is not there", func() error { return unix.Rename("d/missing", "d/new") }},
	{"rename a file over a directory", func() error { return unix.Rename("d/file", "d/full") }},
	{"rename a directory over a file", func() error { return unix.Rename("d/full", "d/file") }},
	{"rename a directory into itself", func() error { return unix.Rename("d", "d/full/d") }},
	{"rename over nothing", func() error {
		return unix.Renameat2(unix.AT_FDCWD, "d/file", unix.AT_FDCWD, "d/missing", unix.RENAME_EXCHANGE)
	}},
	{"rename over what is there", func() error {
		return unix.Renameat2(unix.AT_FDCWD, "d/file", unix.AT_FDCWD, "d/link", unix.RENAME_NOREPLACE)
	}},
	{"truncate to less than nothing", func() error { return unix.Truncate("d/file", -1) }},
	{"truncate a directory", func() error { return unix.Truncate("d/full", 0) }},
	{"truncate what is not a directory", func() error { return unix.Truncate("d/file/", 0) }},
	{"set an attribute that is not there", func() error { return unix.Setxattr("d/file", "user.x", nil, unix.XATTR_REPLACE) }},
	{"remove an attribute that is not there", func() error { return unix.Removexattr("d/file", "user.x") }},
	{"give to nobody at all", func() error { return unix.Chown("d/file/x", 1, 1) }},
	{"a name that is too long", func() error { return unix.Mkdir("d/"+name255+"n", 0o755) }},
}

// useInEveryWay makes all calls that take a descriptor, and that some kind of file
// does not know.
func (c *client) useInEveryWay(fd int) {
	buf := make([]byte, 512)
	for _, call := range []struct {
		name string
		do   func() error
	}{
		{"pread", func() error { _, err := unix.Pread(fd, buf, 0); return err }},
		{"pwrite", func() error { _, err := unix.Pwrite(fd, []byte("x"), 0); return err }},
		{"seek", func() error { _, err := unix.Seek(fd, 0, unix.SEEK_SET); return err }},
		{"getdents", func() error { _, err := unix.Getdents(fd, make([]byte, 4096)); return err }},
		{"ftruncate", func() error { return unix.Ftruncate(fd, 3) }},
		{"fallocate", func() error { return unix.Fallocate(fd, 0, 0, 10) }},
		{"fallocate too far", func() error { return unix.Fallocate(fd, 0, 1<<62, 1<<62) }},
		{"punch", func() error {
			return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 10)
		}},
		{"fsync", func() error { return unix.Fsync(fd) }},
		{"fdatasync", func() error { return unix.Fdatasync(fd) }},
		{"copy to itself", func() error {
			_, err := unix.CopyFileRange(fd, new(int64), fd, new(int64), 1, 0)
			return err
		}},
		{"map", func() error {
			m, err := unix.Mmap(fd, 0, 100, unix.PROT_READ, unix.MAP_SHARED)
			if err == nil {
				err = unix.Munmap(m)
			}
			return err
		}},
		{"flock", func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }},
		{"fchmod", func() error { return unix.Fchmod(fd, 0o700) }},
		{"getxattr", func() error { _, err := unix.Fgetxattr(fd, "user.x", buf); return err }},
		{"readlink", func() error { _, err := unix.Readlinkat(fd, "", buf); return err }},
		{"open below", func() error { _, err := unix.Openat(fd, "x", unix.O_RDONLY, 0); return err }},
		{"advise", func() error { return unix.Fadvise(fd, 0, 0, unix.FADV_NORMAL) }},
	} {
		c.did(call.name, call.do())
	}
}

// badAddresses reads into and writes from memory that this process does not have.
func badAddresses(c *client) {
	fd := c.open("file", unix.O_RDWR, 0)
	page, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	must(err)
	address := uintptr(unsafe.Pointer(&page[0]))
	must(unix.Mprotect(page[4096:], unix.PROT_NONE))
	for _, call := range []struct {
		name   string
		number uintptr
	}{{"read", unix.SYS_PREAD64}, {"write", unix.SYS_PWRITE64}} {
		for _, at := range []uintptr{0, 1, address + 4096, address + 4096 - 5} {
			n, _, errno := unix.Syscall6(call.number, uintptr(fd), at, 12, 0, 0, 0)
			what := "into nothing"
			if at == address+4096-5 {
				what = "across the end"
			}
			if errno != 0 {
				c.did(call.name+" "+what, errno)
			} else {
				c.note("%s %s: %d", call.name, what, n)
			}
		}
	}
	c.content(fd)
	_, _, errno := unix.Syscall(unix.SYS_STAT, uintptr(unsafe.Pointer(unsafe.StringData("file\x00"))), 1, 0)
	c.did("stat into nothing", errno)
}

var accessModes = []uint32{0, 0o100, 0o200, 0o400, 0o070, 0o007, 0o111, 0o644, 0o755}

func accessGround(g *given) {
	for _, mode := range accessModes {
		g.file(fmt.Sprintf("file %03o", mode), stranger, staff, mode)
		g.folder(fmt.Sprintf("directory %03o", mode), stranger, staff, mode)
	}
}

// watchDirectory notes the events of a directory, and of a file in it.
func watchDirectory(c *client) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	must(err)
	c.fds = append(c.fds, fd)
	const all = unix.IN_ALL_EVENTS &^ (unix.IN_OPEN | unix.IN_ACCESS | unix.IN_CLOSE_NOWRITE)
	for _, name := range []string{"directory", "file"} {
		_, err := unix.InotifyAddWatch(fd, name, all)
		c.did("watch "+name, err)
	}
	c.file("directory/new")
	c.did("chmod", unix.Chmod("directory/new", 0o600))
	c.did("link", unix.Link("directory/new", "directory/second"))
	c.did("rename", unix.Rename("directory/new", "directory/renamed"))
	c.did("rename in", unix.Rename("file", "directory/file"))
	c.did("truncate", unix.Truncate("directory/file", 3))
	c.did("set times", unix.UtimesNanoAt(unix.AT_FDCWD, "directory/file", []unix.Timespec{{Sec: 1}, {Sec: 1}}, 0))
	c.did("mkdir", unix.Mkdir("directory/below", 0o755))
	c.did("rmdir", unix.Rmdir("directory/below"))
	c.did("symlink", unix.Symlink("x", "directory/link"))
	c.did("unlink", unix.Unlink("directory/second"))
	c.did("unlink the last name", unix.Unlink("directory/file"))
	c.noteEvents(fd)
}

// noteEvents notes what has been heard; numbers that join the two halves of a
// rename mean nothing.
func (c *client) noteEvents(fd int) {
	buf := make([]byte, 1<<16)
	n, err := unix.Read(fd, buf)
	c.did("read events", err)
	var events []string
	for at := 0; at < n; {
		event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
		name := buf[at+unix.SizeofInotifyEvent : at+unix.SizeofInotifyEvent+int(event.Len)]
		events = append(events, fmt.Sprintf("%d %#x %s", event.Wd, event.Mask, strings.TrimRight(string(name), "\x00")))
		at += unix.SizeofInotifyEvent + int(event.Len)
	}
	// The last close(2) of a file that has gone is told a moment later on FUSE.
	c.note("heard %q", slices.DeleteFunc(events, func(e string) bool {
		return strings.Contains(e, fmt.Sprintf("%#x ", unix.IN_IGNORED)) || strings.Contains(e, fmt.Sprintf("%#x ", unix.IN_DELETE_SELF))
	}))
}
