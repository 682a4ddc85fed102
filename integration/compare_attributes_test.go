package integration

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAttributesAreAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "attributes", root, plainUser, groupMember)
}

var attributeScenarios = []scenario{
	{name: "every mode can be given to a file, a directory, a fifo", given: oneOfEach, when: func(c *client) {
		for _, name := range []string{"file", "directory", "fifo"} {
			for _, mode := range []uint32{0, 0o7777, 0o4000, 0o2000, 0o1000, 0o4711, 0o2755, 0o2644, 0o111, 0o644} {
				c.did(fmt.Sprintf("chmod %#o", mode), unix.Chmod(name, mode))
				c.stat(name)
			}
		}
	}},
	{name: "changing the owner takes setuid and setgid away", given: oneOfEach, when: func(c *client) {
		for _, name := range []string{"file", "directory", "fifo"} {
			for _, mode := range []uint32{0o6755, 0o6644, 0o2745, 0o4000} {
				for _, ids := range [][2]int{{-1, -1}, {unix.Getuid(), -1}, {-1, unix.Getgid()}, {-1, staff}, {stranger, -1}, {unix.Getuid(), unix.Getgid()}} {
					c.did(fmt.Sprintf("chmod %#o", mode), unix.Chmod(name, mode))
					c.did(fmt.Sprintf("chown %d:%d", ids[0], ids[1]), unix.Chown(name, ids[0], ids[1]))
					c.stat(name)
				}
			}
		}
	}},
	{name: "a symbolic link has an owner of its own", given: oneOfEach, when: func(c *client) {
		for _, ids := range [][2]int{{-1, staff}, {nobody, -1}, {-1, -1}} {
			c.did("lchown", unix.Lchown("link", ids[0], ids[1]))
			c.stat("link", "file")
		}
	}},
	{name: "writing and truncating take setuid and setgid away", given: func(g *given) {
		for _, mode := range setidModes {
			for i := range writings {
				g.mine(fmt.Sprintf("mine %#o %d", mode, i), mode)
				g.file(fmt.Sprintf("other's %#o %d", mode, i), stranger, stranger, mode)
			}
		}
	}, when: func(c *client) {
		c.file("source")
		source := c.open("source", unix.O_RDONLY, 0)
		for _, whose := range []string{"mine", "other's"} {
			for _, mode := range setidModes {
				for i, w := range writings {
					name := fmt.Sprintf("%s %#o %d", whose, mode, i)
					c.did(w.name, w.do(name, source))
					c.stat(name)
				}
			}
		}
	}},
	{name: "changing attributes changes the change time only", given: oneOfEach, when: func(c *client) {
		for _, name := range []string{"file", "directory", "fifo"} {
			c.changes(func() { c.did("chmod", unix.Chmod(name, 0o700)) }, name)
			c.changes(func() { c.did("chmod to the same", unix.Chmod(name, 0o700)) }, name)
			c.changes(func() { c.did("chown to the same", unix.Chown(name, unix.Getuid(), unix.Getgid())) }, name)
			c.changes(func() { c.did("chown to nothing", unix.Chown(name, -1, -1)) }, name)
			c.changes(func() { c.did("chown the group", unix.Chown(name, -1, staff)) }, name)
			c.changes(func() { c.did("refused chown", unix.Chown(name, 0, 0)) }, name)
		}
	}},
	{name: "a file's times tell what was done with it", given: oneOfEach, when: fileTimes},
	{name: "a directory's times tell what was done with it", given: oneOfEach, when: func(c *client) {
		c.changes(func() { c.tree("directory") }, "directory")
		c.changes(func() { c.tree("directory") }, "directory")
		c.changes(func() { c.file("directory/new") }, "directory")
		c.changes(func() { c.stat("directory/new") }, "directory")
		c.changes(func() { c.contents("directory/new") }, "directory")
		c.changes(func() { c.did("unlink", unix.Unlink("directory/new")) }, "directory")
		c.changes(func() { c.did("failing unlink", unix.Unlink("directory/new")) }, "directory")
	}},
	{name: "reading a link changes its access time", given: oneOfEach, when: func(c *client) {
		c.changes(func() { c.stat("link") }, "link")
		c.changes(func() { c.contents("link") }, "link")
	}},
	{name: "times are set to what is asked for", given: oneOfEach, when: setTimesEverywhere},
	{name: "a time can be now, or left as it is", given: oneOfEach, when: timesNowAndOmitted},
	{name: "what another name of the file shows is never old", given: func(g *given) {
		oneOfEach(g)
		g.hardLink("file", "second name")
	}, when: func(c *client) {
		c.stat("file", "second name")
		c.did("chmod", unix.Chmod("file", 0o604))
		c.did("truncate", unix.Truncate("file", 2))
		c.stat("file", "second name")
		c.did("unlink", unix.Unlink("file"))
		c.stat("second name")
	}},
	{name: "the birth time is that of the file", given: oneOfEach, when: func(c *client) {
		var s unix.Statx_t
		c.did("statx", unix.Statx(unix.AT_FDCWD, "file", 0, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &s))
		c.note("mask %#x, birth time known %t", s.Mask&(unix.STATX_BASIC_STATS|unix.STATX_BTIME), s.Btime.Sec != 0)
	}},
	{name: "statfs tells of the backing file system", when: statfs},
	{name: "a setgid directory gives its group on", given: setgidDirectories, when: func(c *client) {
		for _, dir := range setgidNames {
			must(unix.Chdir(dir))
			c.makeEverything("", 0o6775)
			c.makeEverything("not for the group ", 0o2745)
			c.mkdir("directory/below", 0o755)
			c.tree(".")
			must(unix.Chdir(".."))
		}
	}},
}

var setidModes = []uint32{0o6777, 0o2766, 0o4766}

// writings are all ways to change the data of a file.
var writings = []struct {
	name string
	do   func(name string, source int) error
}{
	{"write", inFile(func(fd, _ int) error { _, err := unix.Pwrite(fd, []byte("x"), 0); return err })},
	{"write further on", inFile(func(fd, _ int) error { _, err := unix.Pwrite(fd, []byte("x"), 5000); return err })},
	{"write nothing", inFile(func(fd, _ int) error { _, err := unix.Pwrite(fd, nil, 0); return err })},
	{"truncate", func(name string, _ int) error { return unix.Truncate(name, 10) }},
	{"truncate what is open", inFile(func(fd, _ int) error { return unix.Ftruncate(fd, 20) })},
	{"open truncated", func(name string, _ int) error { return tryOpen(unix.O_WRONLY | unix.O_TRUNC)(name) }},
	{"allocate", inFile(func(fd, _ int) error { return unix.Fallocate(fd, 0, 0, 100) })},
	{"punch", inFile(func(fd, _ int) error {
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096)
	})},
	{"copy", inFile(func(fd, source int) error {
		_, err := unix.CopyFileRange(source, new(int64), fd, new(int64), 10, 0)
		return err
	})},
	{"copy further on", inFile(func(fd, source int) error {
		off := int64(8192)
		_, err := unix.CopyFileRange(source, new(int64), fd, &off, 10, 0)
		return err
	})},
}

// inFile opens a file for writing for the time of a step.
func inFile(step func(fd, source int) error) func(name string, source int) error {
	return func(name string, source int) error {
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return step(fd, source)
	}
}

var setgidNames = []string{"of staff", "of a stranger", "without setgid", "sticky of root"}

// setgidDirectories makes directories that anybody may write to.
func setgidDirectories(g *given) {
	g.folder("of staff", int(g.who.uid), staff, 0o2777)
	g.folder("of a stranger", int(g.who.uid), stranger, 0o2777)
	g.folder("without setgid", int(g.who.uid), staff, 0o777)
	g.folder("sticky of root", 0, 0, 0o3777)
}

// oneOfEach makes one of each kind that has attributes.
func oneOfEach(g *given) {
	g.mine("file", 0o644)
	g.myFolder("directory", 0o755)
	g.special("fifo", unix.S_IFIFO|0o600, 0)
	g.own("fifo", int(g.who.uid), int(g.who.gid), 0o600)
	g.symlink("file", "link")
	must(unix.Lchown(g.path("link"), int(g.who.uid), int(g.who.gid)))
}

func fileTimes(c *client) {
	c.changes(func() { c.contents("file") }, "file")
	c.changes(func() { c.contents("file") }, "file")
	fd := c.open("file", unix.O_RDWR, 0)
	c.changes(func() { c.pwrite(fd, "text", 2) }, "file")
	c.changes(func() { c.pwrite(fd, "text", 2) }, "file")
	c.changes(func() { c.pwrite(fd, "further on", 10000) }, "file")
	c.changes(func() { c.pwrite(fd, "", 0) }, "file")
	c.changes(func() { c.did("truncate", unix.Truncate("file", 30)) }, "file")
	c.changes(func() { c.did("truncate to the same", unix.Truncate("file", 30)) }, "file")
	c.changes(func() { c.did("truncate to the same", unix.Ftruncate(fd, 30)) }, "file")
	c.changes(func() { c.did("truncate to more", unix.Ftruncate(fd, 9000)) }, "file")
	c.changes(func() { c.did("allocate", unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 20000)) }, "file")
	c.changes(func() { c.did("allocate", unix.Fallocate(fd, 0, 0, 20000)) }, "file")
	c.changes(func() {
		c.did("punch", unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 4096))
	}, "file")
	c.changes(func() { c.did("fsync", unix.Fsync(fd)) }, "file")
	c.changes(func() { c.contents("file") }, "file")
	c.changes(func() { c.did("setxattr", unix.Setxattr("file", "user.x", []byte("x"), 0)) }, "file")
	c.changes(func() { c.did("removexattr", unix.Removexattr("file", "user.x")) }, "file")
	c.changes(func() { c.close(c.open("file", unix.O_RDWR, 0)) }, "file")
}

// someTimes are what has ever gone wrong with times: before 1970, after 2038,
// later than the file system can tell.
var someTimes = []unix.Timespec{
	{Sec: 1, Nsec: 1}, {Sec: 1700000000, Nsec: 999999999}, {Sec: 0}, {Sec: -1}, {Sec: -1, Nsec: 500000000},
	{Sec: -1 << 31}, {Sec: 1 << 31}, {Sec: 1 << 32}, {Sec: 1 << 40}, {Sec: -1 << 40},
}

func setTimesEverywhere(c *client) {
	for _, name := range []string{"file", "directory", "fifo", "link"} {
		for i, at := range someTimes {
			mt := someTimes[(i+3)%len(someTimes)]
			err := unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{at, mt}, unix.AT_SYMLINK_NOFOLLOW)
			c.did(fmt.Sprintf("set times of %s to %v %v", name, at, mt), err)
			var s unix.Stat_t
			must(unix.Lstat(name, &s))
			c.note("%v %v", s.Atim, s.Mtim)
		}
	}
	fd := c.open("file", unix.O_RDONLY, 0)
	c.did("by descriptor", unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd), []unix.Timespec{{Sec: 7}, {Sec: 8}}, 0))
	c.did("too many nanoseconds", unix.UtimesNanoAt(unix.AT_FDCWD, "file", []unix.Timespec{{Nsec: 1e9}, {}}, 0))
}

func timesNowAndOmitted(c *client) {
	now, omit, fixed := unix.Timespec{Nsec: unix.UTIME_NOW}, unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Sec: 99}
	for _, name := range []string{"file", "directory", "link"} {
		for _, times := range [][]unix.Timespec{{now, now}, {now, omit}, {omit, now}, {omit, omit}, {fixed, omit}, {omit, fixed}, {fixed, now}, {now, fixed}} {
			c.changes(func() {
				c.did(fmt.Sprint(times), unix.UtimesNanoAt(unix.AT_FDCWD, name, times, unix.AT_SYMLINK_NOFOLLOW))
			}, name)
		}
	}
}

// statfs notes what two directories of one file system have in common.
func statfs(c *client) {
	c.mkdir("directory", 0o755)
	c.file("file")
	for _, name := range []string{".", "directory", "file"} {
		var s unix.Statfs_t
		c.did("statfs "+name, unix.Statfs(name, &s))
		c.note("blocks %d of %d and %d bytes, files %d, names of %d bytes", s.Blocks, s.Bsize, s.Frsize, s.Files, s.Namelen)
		c.note("some are free: %t %t %t", s.Bfree > 0 && s.Bfree <= s.Blocks, s.Bavail > 0 && s.Bavail <= s.Bfree, s.Ffree <= s.Files)
	}
}
