//go:build linux

package openzfs

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAQuotaThatIsReachedThroughTheMountIsOneReachedInTheClone(t *testing.T) {
	for _, quota := range []string{"quota", "refquota"} {
		t.Run(quota, func(t *testing.T) {
			c := newClones(t)
			b := newBoth(t, c, "-o", quota+"=2M", "-o", "compression=off")
			require.Contains(t, b.do(t, fill), "write on: EDQUOT")
			b.do(t, useFull)
			b.set(c, quota+"=none")
			require.NotContains(t, b.do(t, useEmpty), "write on: EDQUOT")
			b.end(c)
		})
	}
}

// fill makes the image larger until there is no room for a byte.
func fill(u *user) {
	for _, size := range []int{256 << 10, 64 << 10, 1} {
		for u.write(noise(size), len(u.want)) == nil {
			require.Less(u.t, len(u.want), 16<<20, "without a limit")
		}
	}
	u.writeOn()
}

// writeOn makes the image larger.
func (u *user) writeOn() { u.note("write on", u.write(noise(4096), len(u.want))) }

// useFull does what there may be no room for.
func useFull(u *user) {
	u.writeOn()
	u.note("overwrite a block", u.write(noise(4096), 8192))
	u.writeBackHeader()
	u.note("fsync", u.image.Sync())
	u.note("make a file", os.WriteFile(u.path("new"), nil, 0o600))
	u.note("make a directory", os.Mkdir(u.path("directory"), 0o700))
	u.note("rename", os.Rename(u.path("disk.vdi"), u.path("other.vdi")))
	u.note("rename back", os.Rename(u.path("other.vdi"), u.path("disk.vdi")))
	u.allocate()
}

// useEmpty does what there is room for again.
func useEmpty(u *user) {
	u.writeOn()
	u.writeBackHeader()
	u.note("overwrite a block", u.write(noise(4096), 8192))
	u.note("fsync", u.image.Sync())
	u.note("make a file", os.WriteFile(u.path("new"), []byte("new"), 0o600))
	u.useOpen()
}

// useOpen asks and tells the open file what is not in its content.
func (u *user) useOpen() {
	_, err := u.image.Stat()
	u.note("stat", err)
	u.note("chmod", u.image.Chmod(0o600))
	u.note("set an attribute", unix.Fsetxattr(int(u.image.Fd()), "user.x", []byte("x"), 0))
}

// allocate makes the image larger, which OpenZFS permits where it permits no write
// (zpl_fallocate_common, module/os/linux/zfs/zpl_file.c).
func (u *user) allocate() {
	const more = 1 << 20
	if u.note("allocate", unix.Fallocate(int(u.image.Fd()), 0, 0, int64(len(u.want))+more)) {
		u.want = append(u.want, make([]byte, more)...)
	}
}

// writeBackHeader writes the header as it is read, but for what does not matter.
func (u *user) writeBackHeader() {
	header := append([]byte(nil), u.want[:512]...)
	copy(header[:40], noise(40))
	u.note("write back the header", u.write(header, 0))
}

// noise is what cannot be compressed.
func noise(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	return data
}

func TestACloneThatIsMadeReadOnlyInUseIsSoOnTheMountAsWell(t *testing.T) {
	c := newClones(t)
	b := newBoth(t, c)
	b.do(t, useEmpty)
	for range 2 {
		b.set(c, "readonly=on")
		notes := b.do(t, useReadOnly)
		require.Contains(t, notes, "write on: EROFS")
		require.Contains(t, notes, "open for reading: ok")
		b.set(c, "readonly=off")
		require.NotContains(t, b.do(t, useEmpty), "write on: EROFS")
	}
	b.end(c)
}

// useReadOnly does what there may be no permission for, and what there is.
func useReadOnly(u *user) {
	path := u.image.Name()
	u.writeOn()
	u.writeBackHeader()
	u.note("overwrite a block", u.write(noise(4096), 8192))
	u.note("fsync", u.image.Sync())
	u.note("truncate", u.image.Truncate(4096))
	u.note("truncate by name", os.Truncate(path, 4096))
	u.allocate()
	u.useOpen()
	u.note("chmod by name", os.Chmod(path, 0o600))
	u.note("chown", os.Chown(path, 1, 1))
	u.note("times", unix.UtimesNanoAt(unix.AT_FDCWD, path, nil, 0))
	u.note("set an attribute by name", unix.Setxattr(path, "user.x", []byte("x"), 0))
	u.note("make a file", os.WriteFile(u.path("made"), nil, 0o600))
	u.note("make a directory", os.Mkdir(u.path("directory"), 0o700))
	u.note("make a link", os.Link(path, u.path("link")))
	u.note("make a symbolic link", os.Symlink("disk.vdi", u.path("symlink")))
	u.note("rename", os.Rename(path, u.path("other.vdi")))
	u.note("remove", unix.Unlink(path))
	u.open("reading", os.O_RDONLY)
	u.open("writing", os.O_RDWR)
}

// open opens the image once more.
func (u *user) open(what string, flags int) {
	again, err := os.OpenFile(u.image.Name(), flags, 0)
	if u.note("open for "+what, err) {
		require.NoError(u.t, again.Close())
	}
}
