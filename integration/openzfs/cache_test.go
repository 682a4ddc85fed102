//go:build linux

package openzfs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A replacement is what makes a clone's image, of which the kernel keeps all pages,
// another one behind the mount, with the same size and modification time: what was
// read is then known to be stale by the change time alone. The other one may be older.
type replacement struct {
	name    string
	prepare func(c *clones, clone string) // before the image is read
	replace func(c *clones, clone string)
	want    byte // in the end
}

var replacements = []replacement{
	{"rolled back", func(c *clones, clone string) {
		c.job(clone)
		c.rewrite("ci/"+clone, 'a')
		c.ZFS("snapshot", c.Dataset("ci/"+clone+"@a"))
		c.rewrite("ci/"+clone, 'b')
	}, func(c *clones, clone string) {
		c.Eventually("zfs", "rollback", c.Dataset("ci/"+clone+"@a"))
	}, 'a'},
	{"rolled back, and then written", func(c *clones, clone string) {
		c.job(clone)
		c.ZFS("snapshot", c.Dataset("ci/"+clone+"@now"))
		c.rewrite("ci/"+clone, 'b')
	}, func(c *clones, clone string) {
		c.Eventually("zfs", "rollback", c.Dataset("ci/"+clone+"@now"))
		c.rewrite("ci/"+clone, 'c')
	}, 'c'},
	{"written in the clone", (*clones).jobOnly, func(c *clones, clone string) {
		c.rewrite("ci/"+clone, 'b')
	}, 'b'},
	{"written in the clone through a mapping", (*clones).jobOnly, (*clones).storeMapped, 'm'},
	{"received over, with what was written in it undone", func(c *clones, clone string) {
		c.Clone(snapshot, "sender")
		c.ZFS("snapshot", c.Dataset("sender@1"))
		c.send(c.Dataset("sender@1"), clone)
		c.rewrite("ci/"+clone, 'b')
		time.Sleep(50 * time.Millisecond) // some ticks of the clock: what has the same times is taken for the same
		c.rewrite("sender", 'c')
		c.ZFS("snapshot", c.Dataset("sender@2"))
	}, func(c *clones, clone string) {
		c.send("-i @1 "+c.Dataset("sender@2"), clone)
	}, 'c'},
	{"destroyed, and cloned from another snapshot with the same identity", func(c *clones, clone string) {
		c.job(clone, "-o", "clonefs:identity=pinned")
		c.rewrite("golden", 'v')
		c.ZFS("snapshot", c.Dataset("golden@v2"))
	}, func(c *clones, clone string) {
		c.Eventually("zfs", "destroy", c.Dataset("ci/"+clone))
		c.Clone("golden@v2", "ci/"+clone, "-o", "clonefs:identity=pinned")
	}, 'v'},
}

func TestNoReplacementOfAnImageIsMissedWhereTheKernelKeepsPages(t *testing.T) {
	c := newClones(t, "--log-level=debug")
	clone := func(i int) string { return fmt.Sprint("job-", i+1) }
	for i, r := range replacements { // all of them before, as they have to age
		r.prepare(c, clone(i))
	}
	c.job("back")
	c.ZFS("snapshot", c.Dataset("ci/back@now"))
	for i, r := range replacements {
		t.Run(r.name, func(t *testing.T) {
			on := c.on(t)
			on.awaitWarm(clone(i))
			r.replace(on, clone(i))
			on.requireRead(clone(i), r.want)
			on.requireRead(clone(i), r.want)
		})
	}
	t.Run("rolled back to what it was when the kernel's pages were dropped", func(t *testing.T) { c.on(t).thereAndBack("back") })
}

// thereAndBack reads an image, through a file that stays open, while it is another
// one: when it is rolled back it looks as if nothing had been.
func (c *clones) thereAndBack(clone string) {
	c.T.Helper()
	c.awaitWarm(clone)
	before, err := os.ReadFile(c.disk(clone))
	require.NoError(c.T, err)
	held, err := os.Open(c.disk(clone))
	require.NoError(c.T, err)
	defer held.Close()
	c.rewrite("ci/"+clone, 'b')
	// As if the kernel had no memory for the pages.
	require.NoError(c.T, unix.Fadvise(int(held.Fd()), 0, 0, unix.FADV_DONTNEED))
	image, err := io.ReadAll(held)
	require.NoError(c.T, err)
	require.Equal(c.T, byte('b'), image[len(image)-1])

	c.Eventually("zfs", "rollback", c.Dataset("ci/"+clone+"@now"))
	after, err := os.ReadFile(c.disk(clone))
	require.NoError(c.T, err)
	requireSame(c.T, before, after, "what is read, against what was read before")
}

// on returns the clones with their failures going to a subtest.
func (c *clones) on(t *testing.T) *clones {
	other := *c
	other.Pool = c.On(t)
	return &other
}

func (c *clones) jobOnly(clone string) { c.job(clone) }

// send sends a stream to a file system below ci.
func (c *clones) send(what, clone string) {
	c.T.Helper()
	c.Run("sh", "-c", "zfs send "+what+` | zfs receive -F "$0"`, c.Dataset("ci/"+clone))
}

// rewritten is what rewrite writes, at the offset behind.
func rewritten(b byte) []byte { return bytes.Repeat([]byte{b}, imageSize-behind) }

// behind the header nothing is presented.
const behind = 4096

// rewrite writes over all of an image behind its header, in the dataset, and puts
// the modification time back.
func (c *clones) rewrite(dataset string, b byte) {
	c.T.Helper()
	c.keepingTime(dataset, func(image *os.File) {
		_, err := image.WriteAt(rewritten(b), behind)
		require.NoError(c.T, err)
	})
}

// storeMapped is rewrite by a mapping.
func (c *clones) storeMapped(clone string) {
	c.T.Helper()
	c.keepingTime("ci/"+clone, func(image *os.File) {
		memory, err := unix.Mmap(int(image.Fd()), 0, imageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		require.NoError(c.T, err)
		copy(memory[behind:], rewritten('m'))
		require.NoError(c.T, unix.Munmap(memory))
	})
}

func (c *clones) keepingTime(dataset string, change func(image *os.File)) {
	c.T.Helper()
	path := c.Dir + "/" + dataset + "/disk.vdi"
	before, err := os.Stat(path)
	require.NoError(c.T, err)
	image, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(c.T, err)
	change(image)
	require.NoError(c.T, image.Close())
	require.NoError(c.T, os.Chtimes(path, before.ModTime(), before.ModTime()))
}

// awaitWarm reads an image until that asks the daemon for nothing.
func (c *clones) awaitWarm(clone string) {
	c.T.Helper()
	require.Eventually(c.T, func() bool {
		before := c.reads()
		_, err := os.ReadFile(c.disk(clone))
		require.NoError(c.T, err)
		return c.reads() == before
	}, 30*time.Second, 100*time.Millisecond, "the kernel keeps the pages of a file that has not changed for a while")
}

// reads is how many times the kernel has asked for content, by the daemon's log.
func (c *clones) reads() int {
	c.T.Helper()
	log, err := os.ReadFile(c.log)
	require.NoError(c.T, err)
	return strings.Count(string(log), ": READ ")
}

// requireRead requires an image on the mount to have been rewritten with this byte.
func (c *clones) requireRead(clone string, b byte) {
	c.T.Helper()
	image, err := os.ReadFile(c.disk(clone))
	require.NoError(c.T, err)
	requireSame(c.T, rewritten(b), image[behind:], "what is read")
}
