package integration

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhoMayDoWhatIsAsOnTheBackingFileSystem(t *testing.T) {
	compareInMemory(t, "permissions", root, plainUser, groupMember)
}

// An owner is whose a file is that somebody tries to use.
type owner struct {
	name     string
	uid, gid int
}

// owners are those that a file may have, for who plays the scenario.
func (g *given) owners() []owner {
	return []owner{
		{"mine", int(g.who.uid), int(g.who.gid)},
		{"mine of staff", int(g.who.uid), staff},
		{"staff's", stranger, staff},
		{"stranger's", stranger, stranger},
		{"root's", 0, 0},
	}
}

var ownerNames = []string{"mine", "mine of staff", "staff's", "stranger's", "root's"}

var permissionScenarios = []scenario{
	{name: "files of every owner and mode", given: filesOfAll, when: func(c *client) {
		eachOfAll(fileModes, c.tryFile)
	}},
	{name: "special files of every owner", given: func(g *given) {
		for _, o := range g.owners() {
			for _, mode := range []uint32{0o600, 0o060, 0o006} {
				g.special(ofAll(o.name, mode), unix.S_IFIFO|0o600, 0)
				g.own(ofAll(o.name, mode), o.uid, o.gid, mode)
			}
		}
	}, when: func(c *client) { eachOfAll([]uint32{0o600, 0o060, 0o006}, c.tryFile) }},
	{name: "directories of every owner and mode", given: directoriesOfAll, when: func(c *client) {
		eachOfAll(directoryModes, c.tryDirectory)
	}},
	{name: "symbolic links of every owner", given: func(g *given) {
		g.folder("sticky", stranger, stranger, 0o1777)
		g.file("target", stranger, stranger, 0o644)
		for _, o := range g.owners() {
			g.symlink("../target", "sticky/"+o.name)
			must(os.Lchown(g.path("sticky/"+o.name), o.uid, o.gid))
		}
	}, when: func(c *client) {
		for _, name := range ownerNames {
			link := "sticky/" + name
			c.stat(link)
			c.did("follow", tryOpen(unix.O_RDONLY)(link))
			c.did("lchown", unix.Lchown(link, -1, unix.Getgid()))
			c.did("rename", unix.Rename(link, link+" moved"))
			c.did("unlink", unix.Unlink(link))
		}
	}},
	{name: "an open file stays usable when the right to open it has gone", given: func(g *given) {
		g.myFolder("directory", 0o755)
		g.mine("directory/file", 0o644)
	}, when: func(c *client) {
		fd := c.open("directory/file", unix.O_RDWR, 0)
		c.did("chmod", unix.Chmod("directory/file", 0))
		c.did("chmod", unix.Chmod("directory", 0))
		c.write(fd, "still writing")
		c.content(fd)
		c.fstat(fd)
		c.did("truncate", unix.Ftruncate(fd, 5))
		c.did("chmod", unix.Fchmod(fd, 0o400))
		c.did("open again", tryOpen(unix.O_RDWR)(procPath(fd)))
		c.did("setxattr", unix.Fsetxattr(fd, "user.x", []byte("x"), 0))
		c.did("stat", unix.Stat("directory/file", &unix.Stat_t{}))
	}},
	{name: "a working directory stays usable when the way to it has been barred", given: func(g *given) {
		g.myFolder("above", 0o755)
		g.myFolder("above/here", 0o755)
		g.mine("above/here/file", 0o644)
	}, when: func(c *client) {
		above := c.open("above", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		must(unix.Chdir("above/here"))
		c.did("bar the way", unix.Fchmod(above, 0))
		c.contents("file")
		c.mkdir("new", 0o755)
		c.tree(".")
		c.did("go up", unix.Chdir(".."))
		c.did("bar it here", unix.Fchmod(above, 0o400))
		c.noteNames(above)
	}},
	{name: "a directory made by a user is the user's, also below another's", given: func(g *given) {
		g.folder("for all", stranger, staff, 0o777)
		g.folder("for staff", stranger, staff, 0o770)
		g.folder("for nobody", stranger, stranger, 0o755)
	}, when: func(c *client) {
		for _, dir := range []string{"for all", "for staff", "for nobody"} {
			c.makeEverything(dir+"/", 0o640)
			c.stat(dir+"/file", dir+"/directory", dir+"/fifo", dir+"/socket", dir+"/link")
		}
	}},
}

var (
	fileModes      = []uint32{0, 0o400, 0o200, 0o100, 0o040, 0o020, 0o004, 0o002, 0o644, 0o777, 0o6755}
	directoryModes = []uint32{0, 0o100, 0o300, 0o400, 0o700, 0o070, 0o030, 0o007, 0o003, 0o777, 0o1777, 0o3770, 0o2775}
)

// ofAll names what belongs to an owner and has a mode.
func ofAll(name string, mode uint32) string { return fmt.Sprintf("%s %04o", name, mode) }

func eachOfAll(modes []uint32, try func(name string)) {
	for _, name := range ownerNames {
		for _, mode := range modes {
			try(ofAll(name, mode))
		}
	}
}

func filesOfAll(g *given) {
	for _, o := range g.owners() {
		for _, mode := range fileModes {
			g.file(ofAll(o.name, mode), o.uid, o.gid, mode)
		}
	}
}

// directoriesOfAll makes directories, each with two files and a directory.
func directoriesOfAll(g *given) {
	g.mine("my file", 0o644)
	g.file("other's file", stranger, stranger, 0o644)
	for _, o := range g.owners() {
		for _, mode := range directoryModes {
			dir := ofAll(o.name, mode)
			g.folder(dir, o.uid, o.gid, 0o700)
			g.hardLink("my file", dir+"/mine")
			g.hardLink("other's file", dir+"/other's")
			g.folder(dir+"/below", stranger, stranger, 0o755)
			g.own(dir, o.uid, o.gid, mode)
		}
	}
}

// tryFile tries what takes rights on a file itself, the harmless first. Chown
// to nothing, which a stranger may not do to a setuid file, is left out: on the
// mount it is allowed and does nothing, because the kernel sends the same
// request before a stranger's write.
func (c *client) tryFile(name string) {
	calls := []struct {
		name string
		do   func() error
	}{
		{"read", func() error { return tryOpen(unix.O_RDONLY)(name) }},
		{"write", func() error { return tryOpen(unix.O_WRONLY)(name) }},
		{"both", func() error { return tryOpen(unix.O_RDWR)(name) }},
		{"without access time", func() error { return tryOpen(unix.O_RDONLY | unix.O_NOATIME)(name) }},
		{"truncated", func() error { return tryOpen(unix.O_RDONLY | unix.O_TRUNC)(name) }},
		{"may execute", func() error { return unix.Access(name, unix.X_OK) }},
		{"truncate", func() error { return unix.Truncate(name, 5) }},
		{"times now", func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, name, nil, 0) }},
		{"times set", func() error {
			return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Sec: 1}, {Sec: 1}}, 0)
		}},
		{"link", func() error { return unix.Link(name, name+" linked") }},
		{"give to staff", func() error { return unix.Chown(name, -1, staff) }},
		{"give to root", func() error { return unix.Chown(name, 0, 0) }},
		{"take", func() error { return unix.Chown(name, unix.Getuid(), unix.Getgid()) }},
		{"chmod", func() error { return unix.Chmod(name, 0o2710) }},
		{"rename", func() error { return unix.Rename(name, name+" renamed") }},
	}
	c.stat(name)
	for _, call := range calls {
		c.did(name+": "+call.name, call.do())
	}
	c.stat(name + " renamed")
}

// tryDirectory tries what takes rights on a directory.
func (c *client) tryDirectory(name string) {
	calls := []struct {
		name string
		do   func() error
	}{
		{"list", func() error { _, err := readEntries(name); return err }},
		{"look up", func() error { return unix.Lstat(name+"/mine", &unix.Stat_t{}) }},
		{"look up nothing", func() error { return unix.Lstat(name+"/missing", &unix.Stat_t{}) }},
		{"open below", func() error { return tryOpen(unix.O_RDWR)(name + "/mine") }},
		{"create", func() error { return tryOpen(unix.O_RDWR | unix.O_CREAT | unix.O_EXCL)(name + "/new file") }},
		{"mkdir", func() error { return unix.Mkdir(name+"/new directory", 0o755) }},
		{"mkdir over", func() error { return unix.Mkdir(name+"/below", 0o755) }},
		{"mkfifo", func() error { return unix.Mkfifo(name+"/new fifo", 0o644) }},
		{"symlink", func() error { return unix.Symlink("x", name+"/new link") }},
		{"without a name", func() error { return tryOpen(unix.O_TMPFILE | unix.O_RDWR)(name) }},
		{"link", func() error { return unix.Link("my file", name+"/linked") }},
		{"link another's", func() error { return unix.Link("other's file", name+"/linked another's") }},
		{"rename mine", func() error { return unix.Rename(name+"/mine", name+"/mine renamed") }},
		{"rename another's", func() error { return unix.Rename(name+"/other's", name+"/other's renamed") }},
		{"rename over another's", func() error { return unix.Rename(name+"/mine renamed", name+"/other's renamed") }},
		{"rename a directory within", func() error { return unix.Rename(name+"/below", name+"/below renamed") }},
		{"rename a directory out", func() error { return unix.Rename(name+"/below renamed", "from "+name) }},
		{"unlink", func() error { return unix.Unlink(name + "/other's renamed") }},
		{"unlink another's", func() error { return unix.Unlink(name + "/other's") }},
		{"rmdir", func() error { return unix.Rmdir(name + "/below") }},
		{"times now", func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, name, nil, 0) }},
		{"setxattr", func() error { return unix.Setxattr(name, "user.x", []byte("x"), 0) }},
		{"enter", func() error { return tryOpen(unix.O_PATH)(name + "/.") }},
		{"rename it", func() error { return unix.Rename(name, name+" renamed") }},
	}
	c.stat(name)
	for _, call := range calls {
		c.did(name+": "+call.name, call.do())
	}
	c.tree(name + " renamed")
}
