//go:build linux

package virtualbox_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/openzfs/pool"
)

const mebibyte = 1 << 20

// The golden image's disk boots the guest of package vbox and has content that ZFS
// can compress by half, in bytes.
const (
	diskSize  = 64 * mebibyte
	contentAt = 8 * mebibyte // behind what the guest writes
	content   = 32 * mebibyte
)

// writeRawDisk writes such a disk.
func writeRawDisk(t testing.TB) string {
	t.Helper()
	raw := make([]byte, diskSize)
	boot, err := os.ReadFile(guestBoot)
	require.NoError(t, err)
	copy(raw, boot)
	random := rand.NewChaCha8([32]byte([]byte("a golden image that is installed")))
	for at := contentAt; at < contentAt+content; at += mebibyte {
		half := raw[at : at+mebibyte/2]
		_, _ = random.Read(half)
		copy(raw[at+mebibyte/2:at+mebibyte], bytes.Repeat([]byte("text "), mebibyte/10))
	}
	path := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return path
}

// Where the fields of a VDI header of version 1.1 lie, by VirtualBox's VDICore.h.
const (
	createAt = 392
	modifyAt = 408
)

// storedUUID reads the UUID of an image.
func storedUUID(t testing.TB, path string) (stored [16]byte) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	_, err = file.ReadAt(stored[:], createAt)
	require.NoError(t, err)
	return stored
}

// uuidText writes 16 stored bytes as VirtualBox does: the first three groups are
// little-endian.
func uuidText(b [16]byte) string {
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return uuid.UUID(b).String()
}

// presentedUUID is what the mount has to present of a volume's image.
func (l *lab) presentedUUID(volume string) string {
	l.T.Helper()
	return uuidText(pool.Present(storedUUID(l.T, l.golden()), "zfs:"+l.GUID("ci/"+volume)))
}

// requireGoldenUUIDs requires that every clone stores the golden image's UUID.
func (l *lab) requireGoldenUUIDs() {
	l.T.Helper()
	golden := storedUUID(l.T, l.golden())
	for _, clone := range clones {
		require.Equal(l.T, uuidText(golden), uuidText(storedUUID(l.T, l.stored(clone))), clone)
	}
	l.T.Logf("all %d clones store the golden image's UUID, %s", len(clones), uuidText(golden))
}

// requireChanged requires that what these clones store is not what the golden
// image is, and that what the others store is, but for the UUID that VirtualBox
// makes anew with the first write after it has opened an image.
func (l *lab) requireChanged(changed ...string) {
	l.T.Helper()
	golden := l.read(l.golden())
	clear(golden[modifyAt : modifyAt+16])
	for _, clone := range clones {
		image := l.read(l.stored(clone))
		clear(image[modifyAt : modifyAt+16])
		require.Equal(l.T, slices.Contains(changed, clone), !bytes.Equal(golden, image), "%s differs from the golden image", clone)
	}
}

func (l *lab) read(path string) []byte {
	l.T.Helper()
	image, err := os.ReadFile(path)
	require.NoError(l.T, err)
	return image
}
