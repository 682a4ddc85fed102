//go:build linux

package virtualbox_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// Where the fields of a VDI header of version 1.1 lie, by VirtualBox's VDICore.h.
const (
	headerSizeAt = 72
	capacityAt   = 368
	createAt     = 392
	modifyAt     = 408
	linkageAt    = 424
	geometryAt   = 456 // only in headers of 400 bytes
	headerEnd    = 472
)

// field reads the 16 bytes at this offset of a file.
func field(t testing.TB, path string, offset int64) [16]byte {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var b [16]byte
	_, err = f.ReadAt(b[:], offset)
	require.NoError(t, err)
	return b
}

// uuidText writes 16 stored bytes as VirtualBox does: the first three groups
// are little-endian.
func uuidText(b [16]byte) string {
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return uuid.UUID(b).String()
}

// presentedUUID is what the mount has to make of a stored UUID, worked out
// apart from the code under test: the exclusive or with the first bytes of a
// hash of the volume's identity, of which the bits that make the guest's serial
// number and the UUID's version and variant are left out.
func presentedUUID(volume string, stored [16]byte) [16]byte {
	free := [16]byte{4: 0xff, 5: 0xff, 6: 0xff, 7: 0x0f, 8: 0x3f, 9: 0xff, 10: 0xff, 11: 0xff}
	hash := sha256.Sum256([]byte("clonefs/1\x00dir:" + volume))
	if stored == [16]byte{} {
		return stored
	}
	for i := range stored {
		stored[i] ^= hash[i] & free[i]
	}
	return stored
}

// requireGoldenUUIDs requires that every clone's stored UUIDs are those of its
// golden image.
func (l *lab) requireGoldenUUIDs() {
	l.t.Helper()
	checked := 0
	for _, c := range l.clones {
		for _, image := range images[c.golden] {
			golden, stored := goldenFile(l.t, c.golden, image), l.stored(c.name, image)
			requireSameUUID(l.t, golden, createAt, stored, createAt)
			requireSameUUID(l.t, golden, linkageAt, stored, linkageAt)
			checked++
		}
	}
	l.t.Logf("stored UUIDs of %d images are those of their golden images", checked)
}

// requireSameUUID requires that two files have the same 16 bytes at the given
// offsets.
func requireSameUUID(t testing.TB, want string, wantAt int64, path string, at int64) {
	t.Helper()
	require.Equal(t, uuidText(field(t, want, wantAt)), uuidText(field(t, path, at)), "at %d of %s", at, path)
}

// differences returns the offsets at which two files differ; a longer file
// differs in all that the other does not have.
func differences(t testing.TB, a, b string) []int {
	t.Helper()
	x, err := os.ReadFile(a)
	require.NoError(t, err)
	y, err := os.ReadFile(b)
	require.NoError(t, err)
	var at []int
	for i := range max(len(x), len(y)) {
		if i >= len(x) || i >= len(y) || x[i] != y[i] {
			at = append(at, i)
		}
	}
	return at
}

// requireOnlyVirtualBoxsOwnFields requires that no clone differs from its golden
// image in more than what VirtualBox writes when it opens an image: a new
// modification UUID, and a header of 384 bytes extended to 400.
func (l *lab) requireOnlyVirtualBoxsOwnFields() {
	l.t.Helper()
	differing := 0
	for _, c := range l.clones {
		for _, image := range images[c.golden] {
			at := differences(l.t, goldenFile(l.t, c.golden, image), l.stored(c.name, image))
			for _, offset := range at {
				require.True(l.t, virtualBoxsOwn(c.golden, offset), "byte %d of %s differs", offset, filepath.Join(c.name, image))
			}
			differing += min(1, len(at))
		}
	}
	l.t.Logf("%d images differ from their golden image, in VirtualBox's own fields only", differing)
}

func virtualBoxsOwn(golden string, offset int) bool {
	if offset >= modifyAt && offset < linkageAt {
		return true
	}
	extended := offset >= headerSizeAt && offset < headerSizeAt+4 || offset >= geometryAt && offset < headerEnd
	return golden == byQemu && extended
}
