package integration

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRenamingIsAsOnTheBackingFileSystem(t *testing.T) {
	compareInMemory(t, "rename", root, plainUser)
}

// renameScenarios rename everything to everything, with every flag.
var renameScenarios = func() (scenarios []scenario) {
	for _, flags := range renameFlags {
		for _, from := range renameNames {
			scenarios = append(scenarios, scenario{
				name: fmt.Sprintf("rename %s to anything%s", from, flags.name),
				when: func(c *client) { c.renameToAnything(from, flags.flags) },
			})
		}
	}
	return append(scenarios, moreRenameScenarios...)
}()

var renameFlags = []struct {
	name  string
	flags uint
}{
	{"", 0},
	{", replacing nothing", unix.RENAME_NOREPLACE},
	{", exchanging the two", unix.RENAME_EXCHANGE},
}

// renameNames are in the surroundings that renameToAnything makes.
var renameNames = []string{"file", "second name", "other file", "full", "full/empty", "empty", "link", "missing", "missing/x", "file/x"}

// renameToAnything renames one thing to each of the others, and what is below it.
func (c *client) renameToAnything(from string, flags uint) {
	c.renameSurroundings()
	for _, to := range append(renameNames, from+"/below", "empty/moved", "full/inside") {
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
		if c.did("rename to "+to, err) {
			c.tree(".")
			must(removeContent("."))
			c.renameSurroundings()
		}
	}
}

func (c *client) renameSurroundings() {
	must(unix.Mknod("file", unix.S_IFREG|0o644, 0))
	must(unix.Link("file", "second name"))
	must(unix.Mknod("other file", unix.S_IFREG|0o600, 0))
	must(unix.Mkdir("full", 0o755))
	must(unix.Link("other file", "full/inside"))
	must(unix.Mkdir("full/empty", 0o755))
	must(unix.Mkdir("empty", 0o700))
	must(unix.Symlink("file", "link"))
}

// removeContent removes everything in a directory.
func removeContent(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if err == nil {
			err = os.RemoveAll(dir + "/" + e.Name())
		}
	}
	return err
}

var moreRenameScenarios = []scenario{
	{name: "flags that exclude each other, and flags that there are not", when: func(c *client) {
		c.file("a")
		c.file("b")
		for _, flags := range []uint{unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE, unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT, 1 << 10} {
			c.did(fmt.Sprintf("rename %#x", flags), unix.Renameat2(unix.AT_FDCWD, "a", unix.AT_FDCWD, "b", flags))
		}
		c.tree(".")
	}},
	{name: "a directory that moves brings its content and its parent along", when: func(c *client) {
		c.mkdir("a", 0o755)
		c.mkdir("b", 0o755)
		c.mkdir("a/moving", 0o755)
		c.file("a/moving/file")
		fd := c.open("a/moving/file", unix.O_RDWR, 0)
		c.did("rename", unix.Rename("a/moving", "b/moved"))
		c.pwrite(fd, "written after the move", 0)
		c.fstat(fd)
		c.contents("b/moved/file")
		c.tree(".")
		c.same("b/moved/..", "b")
		c.checkedList("b/moved")
	}},
	{name: "a file is renamed while it is open, over one that is open", when: func(c *client) {
		c.file("a")
		c.file("b")
		a, b := c.open("a", unix.O_RDWR, 0), c.open("b", unix.O_RDWR, 0)
		c.did("rename", unix.Rename("a", "b"))
		c.content(a)
		c.content(b)
		c.fstat(a)
		c.fstat(b)
		c.pwrite(b, "into the replaced file", 0)
		c.contents("b")
	}},
	{name: "two open files change places", when: func(c *client) {
		c.file("a")
		c.mkdir("b", 0o755)
		c.file("b/inside")
		a, inside := c.open("a", unix.O_RDWR, 0), c.open("b/inside", unix.O_RDWR, 0)
		c.did("exchange", unix.Renameat2(unix.AT_FDCWD, "a", unix.AT_FDCWD, "b", unix.RENAME_EXCHANGE))
		c.pwrite(a, "A", 0)
		c.pwrite(inside, "I", 0)
		c.contents("b")
		c.contents("a/inside")
		c.did("chmod", unix.Fchmod(a, 0o640))
		c.did("chmod", unix.Fchmod(inside, 0o600))
		c.tree(".")
	}},
	{name: "renaming one name of a file to another name of it does nothing", when: func(c *client) {
		c.file("a")
		c.did("link", unix.Link("a", "b"))
		c.did("rename", unix.Rename("a", "b"))
		c.stat("a", "b")
		c.same("a", "b")
		c.contents("a")
	}},
	{name: "renaming over one of several names leaves the others", given: func(g *given) {
		g.mine("file", 0o644)
		g.hardLink("file", "never looked up")
		g.mine("new", 0o644)
	}, when: func(c *client) {
		fd := c.open("file", unix.O_RDWR, 0)
		path := c.open("file", unix.O_PATH, 0)
		c.did("rename", unix.Rename("new", "file"))
		c.fstat(fd)
		c.fstat(path)
		c.did("chmod", unix.Fchmod(fd, 0o600))
		c.did("truncate", unix.Ftruncate(fd, 3))
		c.stat("file", "never looked up")
		c.contents("never looked up")
	}},
	{name: "renaming changes times of both directories and of the file", when: func(c *client) {
		c.mkdir("a", 0o755)
		c.mkdir("b", 0o755)
		c.file("a/file")
		c.changes(func() { c.did("rename", unix.Rename("a/file", "b/file")) }, "a", "b", "b/file")
		c.file("a/file")
		c.changes(func() { c.did("rename over", unix.Rename("a/file", "b/file")) }, "a", "b")
		c.mkdir("a/directory", 0o755)
		c.changes(func() { c.did("rename a directory", unix.Rename("a/directory", "b/directory")) }, "a", "b", "b/directory")
		c.stat("a", "b")
	}},
	{name: "names as long as they may be are exchanged for short ones and back", when: func(c *client) {
		c.file("short")
		c.did("rename", unix.Rename("short", name255))
		c.stat(name255)
		c.did("rename", unix.Rename(name255, name255+"x"))
		c.did("rename", unix.Rename(name255, "\xff\n"))
		c.tree(".")
	}},
	{name: "a whiteout is left where one was asked for", when: func(c *client) {
		c.file("a")
		if c.did("rename", unix.Renameat2(unix.AT_FDCWD, "a", unix.AT_FDCWD, "b", unix.RENAME_WHITEOUT)) {
			c.tree(".")
			c.did("unlink", unix.Unlink("a"))
		}
	}},
}
