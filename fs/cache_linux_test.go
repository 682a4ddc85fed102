package fs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// openForCache opens a file as newFile does, as far as its cache is concerned.
func openForCache(t *testing.T, n *node, path string) *file {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return &file{node: n, fd: fd}
}

// newSettledFile makes a file whose change time is old enough to be relied on.
func newSettledFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	n := &node{}
	require.Eventually(t, func() bool {
		_, ok := openForCache(t, n, path).vouch()
		return ok
	}, 20*time.Second, 50*time.Millisecond)
	return path
}

func TestPagesAreReliedOnWhenTheOpenThatDroppedTheOldOnesHasReturned(t *testing.T) {
	t.Parallel()
	n, path := &node{}, newSettledFile(t)
	first, second := openForCache(t, n, path), openForCache(t, n, path)
	require.Zero(t, first.openCached(), "nothing is known yet")
	require.Zero(t, second.openCached(), "the first may not have dropped the pages yet")
	first.opened()
	require.Zero(t, openForCache(t, n, path).openCached(), "another has come meanwhile")

	third := openForCache(t, n, path)
	require.Zero(t, third.openCached())
	third.wasRead()
	require.EqualValues(t, fuse.FOPEN_KEEP_CACHE, openForCache(t, n, path).openCached())
}

// A change whose maker puts the modification time back leaves the change time.
func TestAnOpenOfAFileThatWasChangedDropsThePages(t *testing.T) {
	t.Parallel()
	n, path := &node{}, newSettledFile(t)
	f := openForCache(t, n, path)
	require.Zero(t, f.openCached())
	f.opened()
	require.EqualValues(t, fuse.FOPEN_KEEP_CACHE, openForCache(t, n, path).openCached())

	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("CONTENT"), 0o600))
	require.NoError(t, os.Chtimes(path, before.ModTime(), before.ModTime()))
	require.Zero(t, openForCache(t, n, path).openCached())
	_, ok := openForCache(t, n, path).vouch()
	require.False(t, ok, "another change may come with the same time")
}

// As when a snapshot is rolled back while the file is open: at the end it is what it
// was, and so are its times.
func TestAReadOfAnotherContentEndsTheReliance(t *testing.T) {
	t.Parallel()
	n, path := &node{}, newSettledFile(t)
	f := openForCache(t, n, path)
	require.Zero(t, f.openCached())
	f.wasRead()
	require.EqualValues(t, fuse.FOPEN_KEEP_CACHE, openForCache(t, n, path).openCached())

	n.cache.claim.Load().state.ctime.nsec++ // while the file is another one
	f.wasRead()
	require.Nil(t, n.cache.claim.Load())
}

func TestNobodyVouchesForAFileThatSomebodyMayWrite(t *testing.T) {
	t.Parallel()
	n, path := &node{}, newSettledFile(t)
	writer, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, ok := openForCache(t, n, path).vouch()
	require.False(t, ok)
	require.NoError(t, writer.Close())
	_, ok = openForCache(t, n, path).vouch()
	require.True(t, ok)
	f := openForCache(t, n, path)
	f.writable = true
	_, ok = f.vouch()
	require.False(t, ok)
}

// What /proc shows changes without a change of its times.
func TestNobodyVouchesForAFileWhoseTimesSayNothing(t *testing.T) {
	t.Parallel()
	f := openForCache(t, &node{}, "/proc/loadavg")
	newSettledFile(t) // so that it is as old
	_, ok := f.vouch()
	require.False(t, ok)
}

func TestALeaseIsReturned(t *testing.T) {
	t.Parallel()
	path := newSettledFile(t)
	writer, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK, 0) // EAGAIN where there is a lease
	require.NoError(t, err)
	require.NoError(t, unix.Close(writer))
}
