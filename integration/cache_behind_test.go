//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// A cachedFile is a file on the mount of which the kernel has all pages and keeps
// them from one open to the next.
type cachedFile struct {
	stored, mounted string
	linked          string // the same file in another volume of the mount
}

// A change is made to a file behind the back of the node that it is cached in.
type change struct {
	name string
	make func(t *testing.T, f *cachedFile, content []byte)
}

const cachedSize = 3 * 4096

var changesBehind = []change{
	{"it is overwritten in place", func(t *testing.T, f *cachedFile, content []byte) {
		overwrite(t, f.stored, content)
	}},
	{"it is overwritten in place and its modification time put back", func(t *testing.T, f *cachedFile, content []byte) {
		before, err := os.Stat(f.stored)
		require.NoError(t, err)
		overwrite(t, f.stored, content)
		require.NoError(t, os.Chtimes(f.stored, before.ModTime(), before.ModTime()))
	}},
	{"it is truncated and written anew", func(t *testing.T, f *cachedFile, content []byte) {
		require.NoError(t, os.WriteFile(f.stored, content, 0o600))
	}},
	{"another file is renamed over it", func(t *testing.T, f *cachedFile, content []byte) {
		require.NoError(t, os.WriteFile(f.stored+".new", content, 0o600))
		require.NoError(t, os.Rename(f.stored+".new", f.stored))
	}},
	{"an older one is restored with its time", func(t *testing.T, f *cachedFile, content []byte) {
		old := f.stored + ".old"
		require.NoError(t, os.WriteFile(old, content, 0o600))
		require.NoError(t, os.Chtimes(old, time.Unix(1e9, 0), time.Unix(1e9, 0)))
		sh(t, "cp", "-p", old, f.stored)
	}},
	{"it is removed and made anew", func(t *testing.T, f *cachedFile, content []byte) {
		require.NoError(t, os.Remove(f.stored))
		require.NoError(t, os.WriteFile(f.stored, content, 0o600))
	}},
	{"it is written through a new mapping", func(t *testing.T, f *cachedFile, content []byte) {
		startStorer(t, f.stored).store(t, content[0])
	}},
	{"it is written by way of another volume of the mount", func(t *testing.T, f *cachedFile, content []byte) {
		overwrite(t, f.linked, content)
	}},
}

func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(content, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// The backing file systems count time in different steps.
var cacheBackings = []backing{
	{"ext4", []string{"mkfs.ext4", "-q"}},
	{"ext4 with small inodes", []string{"mkfs.ext4", "-q", "-I", "128"}},
	onXFS,
	onBtrfs,
	{"tmpfs", nil},
}

func TestNoChangeBehindTheMountIsMissedWhereTheKernelKeepsPages(t *testing.T) {
	t.Parallel()
	if !inMountNamespace(t) {
		return
	}
	for _, on := range cacheBackings {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			m := mountOn(t, on, "vm", "other")
			var closed, open []*cachedFile // all of them made first: they have to age
			for i := range changesBehind {
				closed = append(closed, newCachedFile(t, m, fmt.Sprintf("closed-%d", i)))
				open = append(open, newCachedFile(t, m, fmt.Sprintf("open-%d", i)))
			}
			t.Run("it is written within the tick of the clock in which it was read", func(t *testing.T) { changeAtOnce(t, m) })
			t.Run("it is written through a mapping that was there before", func(t *testing.T) { storeTwice(t, m) })
			for i, c := range changesBehind {
				t.Run(c.name, func(t *testing.T) { c.play(t, m, closed[i], false) })
				t.Run(c.name+", while it is open", func(t *testing.T) { c.play(t, m, open[i], true) })
			}
		})
	}
}

// mountOn mounts the volumes on a file system of their own, for requests.
func mountOn(t *testing.T, on backing, volumes ...string) *mounted {
	t.Helper()
	base := t.TempDir()
	m := &mounted{source: base + "/source", mountpoint: t.TempDir()}
	require.NoError(t, os.Mkdir(m.source, 0o755))
	mountBacking(t, on, base+"/device", m.source)
	for _, name := range volumes {
		require.NoError(t, os.Mkdir(filepath.Join(m.source, name), 0o755))
	}
	m.start(t, fs.Options{Debug: true})
	return m
}

func (c change) play(t *testing.T, m *mounted, f *cachedFile, open bool) {
	awaitWarm(t, m, f.mounted)
	var held *os.File
	if open {
		var err error
		held, err = os.Open(f.mounted)
		require.NoError(t, err)
		defer held.Close()
		requireContent(t, held, 'a')
	}
	c.make(t, f, bytes.Repeat([]byte{'b'}, cachedSize))
	for range 2 {
		now, err := os.Open(f.mounted)
		require.NoError(t, err)
		requireContent(t, now, 'b')
		require.NoError(t, now.Close())
	}
}

// newCachedFile makes a file of bytes 'a' in the volume "vm", with a link in "other".
func newCachedFile(t *testing.T, m *mounted, name string) *cachedFile {
	t.Helper()
	f := &cachedFile{stored: filepath.Join(m.source, "vm", name), mounted: filepath.Join(m.mountpoint, "vm", name)}
	require.NoError(t, os.WriteFile(f.stored, bytes.Repeat([]byte{'a'}, cachedSize), 0o600))
	require.NoError(t, os.Link(f.stored, filepath.Join(m.source, "other", name)))
	f.linked = filepath.Join(m.mountpoint, "other", name)
	return f
}

// awaitWarm reads the file until that needs no READ.
func awaitWarm(t *testing.T, m *mounted, path string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return requests(t, m, func() { readOnce(t, path) })["READ"] == 0
	}, 20*time.Second, 50*time.Millisecond, "the kernel keeps the pages of a file that has not changed for a while")
}

// readOnce reads the file as it is.
func readOnce(t *testing.T, path string) []byte {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	require.NoError(t, err)
	content := make([]byte, cachedSize)
	n, err := unix.Pread(fd, content, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))
	return content[:n]
}

func requireContent(t *testing.T, f io.ReaderAt, want byte) {
	t.Helper()
	content := make([]byte, cachedSize)
	_, err := f.ReadAt(content, 0)
	require.NoError(t, err)
	requireSameBytes(t, bytes.Repeat([]byte{want}, cachedSize), content, "what is read")
}

// changeAtOnce changes a file again and again right after it was read.
func changeAtOnce(t *testing.T, m *mounted) {
	f := newCachedFile(t, m, "at-once")
	for i := range 200 {
		want := 'a' + byte(i%2)
		overwrite(t, f.stored, bytes.Repeat([]byte{want}, cachedSize))
		for range 2 { // the first makes the claim that the second's would rely on
			require.Equal(t, want, readOnce(t, f.mounted)[cachedSize-1])
		}
	}
}

// A store through a mapping changes the times at the first one only, until the page
// has been written back.
func storeTwice(t *testing.T, m *mounted) {
	f := newCachedFile(t, m, "stored")
	writer := startStorer(t, f.stored)
	writer.store(t, 'b')
	awaitAge(t, f.stored, 3*time.Second)
	for range 3 {
		require.Equal(t, byte('b'), readOnce(t, f.mounted)[0])
	}
	writer.store(t, 'c')
	require.Equal(t, byte('c'), readOnce(t, f.mounted)[0])
	writer.end(t)
	awaitWarm(t, m, f.mounted)
}

// awaitAge waits until the file has not been changed for so long.
func awaitAge(t *testing.T, path string, age time.Duration) {
	t.Helper()
	require.Eventually(t, func() bool {
		var s unix.Stat_t
		require.NoError(t, unix.Stat(path, &s))
		return time.Since(time.Unix(s.Ctim.Unix())) > age
	}, age+20*time.Second, 50*time.Millisecond)
}
