package fs

import (
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// newOpenMemoryFile is newOpenFile of a file that lies on a tmpfs.
func newOpenMemoryFile(t *testing.T) (*raw, uint64) {
	t.Helper()
	r, handle := newOpenFile(t)
	fd, err := unix.MemfdCreate("disk.vdi", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	r.files.get(handle).fd = fd
	return r, handle
}

func TestWhatLiesBehindTheHeaderIsSplicedFromTheStoredFile(t *testing.T) {
	r, handle := newOpenMemoryFile(t)
	stored := r.files.get(handle).fd
	for _, v := range []struct {
		name string
		in   fuse.ReadIn
		from int
	}{
		{"the first byte behind it", fuse.ReadIn{Fh: handle, Offset: vdi.HeaderSize}, stored},
		{"far behind it", fuse.ReadIn{Fh: handle, Offset: 1 << 40}, stored},
		{"its last byte", fuse.ReadIn{Fh: handle, Offset: vdi.HeaderSize - 1}, -1},
		{"its start", fuse.ReadIn{Fh: handle}, -1},
		{"of no file", fuse.ReadIn{Fh: handle + 1, Offset: vdi.HeaderSize}, -1},
	} {
		v.in.Size = 1 << 19
		require.Equal(t, v.from, r.SpliceFrom(&v.in), v.name)
		require.Zero(t, testing.AllocsPerRun(100, func() { r.SpliceFrom(&v.in) }), v.name)
	}
}

// What lies in /proc stands for file systems that have no pages to lend.
func TestFilesAreNotSplicedWhereTheirPagesAreNotLent(t *testing.T) {
	r, handle := newOpenMemoryFile(t)
	fd, err := unix.Open("/proc/self/maps", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	r.files.get(handle).fd = fd
	require.Equal(t, -1, r.SpliceFrom(&fuse.ReadIn{Fh: handle, Offset: vdi.HeaderSize}))
}

func TestEverySplicedReadLooksWhetherTheKernelsPagesAreStillGood(t *testing.T) {
	r, handle := newOpenMemoryFile(t)
	claimed := &r.files.get(handle).node.cache.claim
	claimed.Store(&claim{state: fileState{size: 1}}) // it was shorter once
	require.NotEqual(t, -1, r.SpliceFrom(&fuse.ReadIn{Fh: handle, Offset: vdi.HeaderSize}))
	require.Nil(t, claimed.Load())
}
