package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDirectoriesAreListedAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "listing", root, plainUser)
}

var listingScenarios = []scenario{
	{name: "an entry has the inode number and the type that stat tells", given: func(g *given) {
		g.mine("file", 0o644)
		g.myFolder("directory", 0o755)
		g.symlink("file", "link")
		g.symlink("nowhere", "dangling link")
		g.hardLink("file", "second name")
		g.special("fifo", unix.S_IFIFO|0o644, 0)
		g.special("socket", unix.S_IFSOCK|0o644, 0)
		g.special("character device", unix.S_IFCHR|0o600, unix.Mkdev(1, 3))
		g.special("block device", unix.S_IFBLK|0o600, unix.Mkdev(7, 200))
	}, when: func(c *client) {
		c.checkedList(".")
		c.checkedList("directory")
	}},
	{name: "an entry that was just made is listed with what stat tells", when: func(c *client) {
		c.file("file")
		c.mkdir("directory", 0o755)
		c.did("symlink", unix.Symlink("file", "link"))
		c.did("mkfifo", unix.Mkfifo("fifo", 0o644))
		c.did("rename", unix.Rename("file", "directory/file"))
		c.checkedList(".")
		c.checkedList("directory")
	}},
	{name: "going back to the start shows new entries and no removed ones", when: func(c *client) {
		c.file("old")
		fd := c.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		c.noteNames(fd)
		c.file("new")
		c.did("unlink", unix.Unlink("old"))
		c.rewind(fd)
		c.noteNames(fd)
	}},
	{name: "a directory that has been read to its end stays at its end", when: func(c *client) {
		fd := c.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		c.noteNames(fd)
		c.noteNames(fd)
	}},
	{name: "thousands of entries are listed once each", given: thousands, when: func(c *client) {
		fd := c.open("many", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		entries, err := entriesOf(fd, 1<<15)
		c.did("list", err)
		c.note("%d entries, %d different", len(entries), distinct(entries))
	}},
	{name: "a position of the directory leads back to where it was", given: thousands, when: seekEverywhere},
	{name: "everything is deleted by who deletes while reading", given: thousands, when: func(c *client) {
		fd := c.open("many", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		c.note("%d deleted", c.deleteWhileReading(fd))
		c.rewind(fd)
		c.noteNames(fd)
		c.did("rmdir", unix.Rmdir("many"))
	}},
	{name: "an open directory is read after it was renamed", when: func(c *client) {
		c.mkdir("a", 0o755)
		c.file("a/file")
		fd := c.open("a", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		c.did("rename", unix.Rename("a", "b"))
		c.noteNames(fd)
	}},
	{name: "an open directory that was removed cannot be read", when: func(c *client) {
		c.mkdir("a", 0o755)
		fd := c.open("a", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		c.did("rmdir", unix.Rmdir("a"))
		c.noteNames(fd)
		c.fstat(fd)
		c.did("fsync", unix.Fsync(fd))
	}},
	{name: "a small buffer is refused, a file cannot be listed", when: func(c *client) {
		c.file("file")
		fd := c.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		_, err := unix.Getdents(fd, make([]byte, 8))
		c.did("list into 8 bytes", err)
		_, err = unix.Getdents(c.open("file", unix.O_RDONLY, 0), make([]byte, 1024))
		c.did("list a file", err)
	}},
	{name: "an open directory is at its end after seeking there", when: func(c *client) {
		fd := c.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		_, err := unix.Seek(fd, -1, unix.SEEK_SET)
		c.did("seek before the start", err)
		_, err = unix.Read(fd, make([]byte, 10))
		c.did("read", err)
	}},
}

const manyFiles = 2000

// thousands makes a directory with many entries, their names long enough for
// several answers of the kernel. They are all of one file, as links are made
// sooner than files.
func thousands(g *given) {
	g.myFolder("many", 0o755)
	g.mine("file", 0o644)
	for i := range manyFiles {
		g.hardLink("file", fmt.Sprintf("many/an entry with a rather long name %d", i))
	}
}

// An entry is one that getdents64(2) returns.
type entry struct {
	name string
	ino  uint64
	off  int64 // the position of the next one
	kind uint8
}

// parseEntries takes apart what getdents64(2) has filled in.
func parseEntries(buf []byte) (entries []entry) {
	for len(buf) > 0 {
		size := binary.NativeEndian.Uint16(buf[16:])
		name, _, _ := bytes.Cut(buf[19:size], []byte{0})
		entries = append(entries, entry{
			name: string(name),
			ino:  binary.NativeEndian.Uint64(buf),
			off:  int64(binary.NativeEndian.Uint64(buf[8:])),
			kind: buf[18],
		})
		buf = buf[size:]
	}
	return entries
}

// entriesOf reads a directory from where it is to its end.
func entriesOf(fd, size int) (entries []entry, err error) {
	buf := make([]byte, size)
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil || n == 0 {
			return entries, err
		}
		entries = append(entries, parseEntries(buf[:n])...)
	}
}

func readEntries(dir string) ([]entry, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return entriesOf(fd, 1<<15)
}

func distinct(entries []entry) int {
	names := map[string]bool{}
	for _, e := range entries {
		names[e.name] = true
	}
	return len(names)
}

// noteNames notes the names that are still to be read, sorted.
func (c *client) noteNames(fd int) {
	entries, err := entriesOf(fd, 1<<15)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name
	}
	slices.Sort(names)
	c.did(fmt.Sprintf("list %q", names), err)
}

func (c *client) rewind(fd int) {
	_, err := unix.Seek(fd, 0, unix.SEEK_SET)
	c.did("rewind", err)
}

// checkedList lists a directory and notes whether stat agrees.
func (c *client) checkedList(dir string) {
	entries, err := readEntries(dir)
	c.did("list "+dir, err)
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	for _, e := range entries {
		var s unix.Stat_t
		err := unix.Lstat(dir+"/"+e.name, &s)
		c.note("%q: %s, same inode %t, same type %t (%d)", e.name, outcome(err),
			s.Ino == e.ino, s.Mode&unix.S_IFMT == uint32(e.kind)<<12, e.kind)
	}
}

// seekEverywhere goes back to positions all over a directory.
func seekEverywhere(c *client) {
	fd := c.open("many", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	entries, err := entriesOf(fd, 1000)
	c.did("list", err)
	buf := make([]byte, 1000)
	wrong := 0
	for i := 0; i < len(entries)-1; i += 97 {
		_, err := unix.Seek(fd, entries[i].off, unix.SEEK_SET)
		n, _ := unix.Getdents(fd, buf)
		if next := parseEntries(buf[:max(n, 0)]); err != nil || len(next) == 0 || next[0] != entries[i+1] {
			wrong++
		}
	}
	c.note("%d positions lead elsewhere", wrong)
}

// deleteWhileReading deletes the files of a directory as it reads them.
func (c *client) deleteWhileReading(fd int) (deleted int) {
	buf := make([]byte, 1000)
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil || n == 0 {
			c.did("list", err)
			return deleted
		}
		for _, e := range parseEntries(buf[:n]) {
			if e.name != "." && e.name != ".." && unix.Unlinkat(fd, e.name, 0) == nil {
				deleted++
			}
		}
	}
}
