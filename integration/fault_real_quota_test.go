//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/vdi"
)

var (
	_ = addTable("quota", quotaScenarios)
	_ = addTable("raised quota", raisedQuotaScenarios)
)

// addTable adds to the tables before any init function runs, as one of those plays
// them.
func addTable(name string, table []scenario) bool {
	tables[name] = table
	return true
}

// A quota of the file system below is a client's on the mount too, to the byte. It
// is one of Btrfs, for a subvolume: kernels without CONFIG_QFMT_V2 have no other.
func TestAQuotaOfTheFileSystemBelowHoldsClientsToItAsWithoutTheMount(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	s, limit := newLimitedSides(t)
	s.prepare(t, "quota", plainUser)
	beside := filepath.Join(filepath.Dir(s.mounted), "beside")
	m := daemon.Start(t, filepath.Dir(s.stored), filepath.Dir(s.mounted), "--allow-other")
	requireConfined(t, m.PID())

	s.play(t, "quota", plainUser)
	content := bytes.Repeat([]byte("beside"), 1<<20)
	require.NoError(t, os.WriteFile(beside+"/file", content, 0o600))
	served, err := os.ReadFile(beside + "/file")
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, served))

	limit("8M")
	s.play(t, "raised quota", plainUser)
}

// newLimitedSides makes three subvolumes of a Btrfs: the sides, which are limited to
// 4 MiB each, and the volume "beside", which is not.
func newLimitedSides(t *testing.T) (s sides, limit func(size string)) {
	t.Helper()
	base := inMemory(t)
	s = sides{base + "/disk/plain", base + "/mount/vm", base + "/disk/source/vm"}
	newDisk(t, onBtrfs, 512<<20, base+"/image", base+"/disk")
	sh(t, "btrfs", "quota", "enable", base+"/disk")
	for _, dir := range []string{base + "/mount", base + "/disk/source"} {
		require.NoError(t, os.Mkdir(dir, 0o755))
	}
	for _, volume := range []string{s.plain, s.stored, base + "/disk/source/beside"} {
		sh(t, "btrfs", "subvolume", "create", volume)
	}
	limit = func(size string) {
		for _, volume := range []string{s.plain, s.stored} {
			sh(t, "btrfs", "qgroup", "limit", size, volume)
		}
	}
	limit("4M")
	return s, limit
}

var quotaScenarios = []scenario{{
	name: "everything that takes room ends where the quota does",
	given: func(g *given) {
		header, err := os.ReadFile("../vdi/testdata/vbox-7.2-dynamic.bin")
		require.NoError(g.t, err)
		require.NoError(g.t, os.WriteFile(g.path("disk.vdi"), append(header, make([]byte, 1<<16)...), 0o600))
		g.own("disk.vdi", int(g.who.uid), int(g.who.gid), 0o600)
	},
	when: func(c *client) {
		fd := c.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
		c.fillWithNumbers(fd)
		c.fstat(fd)
		c.did("write in place", rewriteStart(fd))
		c.pwrite(fd, "further on", 64<<20)
		c.did("allocate", unix.Fallocate(fd, 0, 64<<20, 1<<20))
		c.did("fsync", unix.Fsync(fd))
		c.mkdir("directory", 0o755)
		c.did("symlink", unix.Symlink("x", "link"))
		c.open("new", unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o644)
		c.writeBackHeader()
		c.verifyNumbers(fd)
		c.tree(".")
	},
}}

// raisedQuotaScenarios go on where quotaScenarios had to end.
var raisedQuotaScenarios = []scenario{{
	name: "everything goes on up to the raised quota",
	when: func(c *client) {
		fd := c.open("file", unix.O_RDWR|unix.O_APPEND, 0)
		c.mkdir("directory", 0o755)
		c.did("symlink", unix.Symlink("x", "link"))
		c.file("new")
		c.writeBackHeader()
		c.did("allocate", unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 64<<20, 1<<20))
		c.fillWithNumbers(fd)
		c.verifyNumbers(fd)
		c.tree(".")
	},
}}

// numberedSize is the size of the blocks of fillWithNumbers; no multiple of a page.
const numberedSize = 10000

func numbered(block int64) []byte { return bytes.Repeat([]byte{byte(block%250 + 1)}, numberedSize) }

// fillWithNumbers appends blocks, each of which holds its number, and notes how many
// bytes could be written. The last may be written in part.
func (c *client) fillWithNumbers(fd int) {
	size, err := unix.Seek(fd, 0, unix.SEEK_END)
	must(err)
	for err == nil {
		var n int
		n, err = unix.Write(fd, numbered(size / numberedSize)[size%numberedSize:])
		size += int64(max(n, 0))
	}
	c.did(fmt.Sprintf("filled up to %d", size), err)
}

func rewriteStart(fd int) error {
	_, err := unix.Pwrite(fd, numbered(0)[:100], 0)
	return err
}

// verifyNumbers notes whether everything is in the file that fillWithNumbers wrote.
func (c *client) verifyNumbers(fd int) {
	var s unix.Stat_t
	must(unix.Fstat(fd, &s))
	for off := int64(0); off < s.Size; off += numberedSize {
		buf := make([]byte, numberedSize)
		n, err := unix.Pread(fd, buf, off)
		must(err)
		if want := min(numberedSize, s.Size-off); int64(n) != want || !bytes.Equal(buf[:n], numbered(off / numberedSize)[:n]) {
			c.note("%d bytes at %d are not those that were written: % x...", n, off, buf[:16])
		}
	}
	c.note("verified %d bytes", s.Size)
}

// writeBackHeader does so to disk.vdi, whose header is the old one or the new one
// then, whole.
func (c *client) writeBackHeader() {
	file, err := os.OpenFile("disk.vdi", os.O_RDWR, 0)
	must(err)
	defer file.Close()
	before, after := make([]byte, vdi.HeaderSize), make([]byte, vdi.HeaderSize)
	_, err = file.ReadAt(before, 0)
	must(err)
	if c.did("write the header back", writeBackHeader(file, 0xab)) {
		copy(before[modifyOffset:], bytes.Repeat([]byte{0xab}, 16))
	}
	_, err = file.ReadAt(after, 0)
	must(err)
	c.note("the header is whole: %t", bytes.Equal(before, after))
}
