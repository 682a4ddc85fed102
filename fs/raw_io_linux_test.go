package fs

import (
	"path/filepath"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// newOpenFile is a file system with one open file, under the handle that is returned.
func newOpenFile(t *testing.T) (*raw, uint64) {
	t.Helper()
	fd, err := unix.Open(filepath.Join(t.TempDir(), "disk.vdi"), unix.O_RDWR|unix.O_CREAT, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	m := newMirror(noVolumes{}, Options{})
	f := &file{node: &node{mirror: m}, vol: newVolume(Volume{Identity: "dir:a"}, vdi.KeepGuestSerial, 1), fd: fd, header: &header{}}
	_, err = f.writeAt([][]byte{make([]byte, 1<<20)}, 0)
	require.NoError(t, err)
	return m.raw, m.raw.files.add(f)
}

// noVolumes is a source of none.
type noVolumes struct{ Source }

func (noVolumes) Volumes() []Volume { return nil }

func TestReadsAndWritesOfADiskAllocateNothing(t *testing.T) {
	r, handle := newOpenFile(t)
	for _, v := range []struct {
		name string
		size int
		off  uint64
	}{
		{"a page beyond the header", 4096, 4096},
		{"the last bytes of the header's page", 512, vdi.HeaderSize},
		{"as much as a request has", 1<<20 - 4096, 4096},
	} {
		buf := make([]byte, v.size)
		read := &fuse.ReadIn{Fh: handle, Offset: v.off, Size: uint32(v.size)}
		write := &fuse.WriteIn{Fh: handle, Offset: v.off, Size: uint32(v.size)}
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if n, status := r.ReadFile(read, buf); n != len(buf) || status != fuse.OK {
				panic(status)
			}
			if n, status := r.WriteFile(write, buf); n != len(buf) || status != fuse.OK {
				panic(status)
			}
		}), v.name)
	}
}

func TestAHandleOfNoFileIsABadDescriptor(t *testing.T) {
	r, handle := newOpenFile(t)
	for _, none := range []uint64{0, handle + 1, 1 << 40} {
		_, status := r.ReadFile(&fuse.ReadIn{Fh: none}, make([]byte, 1))
		require.Equal(t, fuse.EBADF, status)
	}
	r.files.remove(handle)
	_, status := r.ReadFile(&fuse.ReadIn{Fh: handle}, make([]byte, 1))
	require.Equal(t, fuse.EBADF, status, "it was closed")
}

func TestAFileGrowsByTheWriteBeyondItsEnd(t *testing.T) {
	r, handle := newOpenFile(t)
	n, status := r.WriteFile(&fuse.WriteIn{Fh: handle, Offset: 2 << 20}, []byte("end"))
	require.Equal(t, fuse.OK, status)
	require.Equal(t, 3, n)
	got := make([]byte, 8)
	n, status = r.ReadFile(&fuse.ReadIn{Fh: handle, Offset: 2<<20 - 1}, got)
	require.Equal(t, fuse.OK, status)
	require.Equal(t, "\x00end", string(got[:n]))
}

func TestEveryReadLooksWhetherTheKernelsPagesAreStillGood(t *testing.T) {
	for _, flags := range []uint32{0, unix.O_DIRECT} {
		r, handle := newOpenFile(t)
		claimed := &r.files.get(handle).node.cache.claim
		claimed.Store(&claim{state: fileState{size: 1}}) // it was shorter once
		_, status := r.ReadFile(&fuse.ReadIn{Fh: handle, Offset: 4096, Flags: flags}, make([]byte, 4096))
		require.Equal(t, fuse.OK, status)
		require.Nil(t, claimed.Load())
	}
}
