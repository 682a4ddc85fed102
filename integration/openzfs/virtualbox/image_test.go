//go:build linux

package virtualbox_test

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
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
	copy(raw, bootSectors(t))
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

// presentedUUID is what the mount has to present of a clone, by the definition and
// not by our own code: the stored UUID, exclusive or the first bytes of a hash of
// the clone's guid, of which the bits that make the guest's serial number and the
// UUID's version and variant are left out.
func (l *lab) presentedUUID(clone string) string {
	l.t.Helper()
	free := [16]byte{4: 0xff, 5: 0xff, 6: 0xff, 7: 0x0f, 8: 0x3f, 9: 0xff, 10: 0xff, 11: 0xff}
	guid := strings.TrimSpace(run(l.t, "zfs", "get", "-Hp", "-o", "value", "guid", l.pool+"/ci/"+clone))
	hash := sha256.Sum256([]byte("clonefs/1\x00zfs:" + guid))
	presented := storedUUID(l.t, l.golden())
	for i := range presented {
		presented[i] ^= hash[i] & free[i]
	}
	return uuidText(presented)
}

// requireGoldenUUIDs requires that every clone stores the golden image's UUID.
func (l *lab) requireGoldenUUIDs() {
	l.t.Helper()
	golden := storedUUID(l.t, l.golden())
	for _, clone := range clones {
		require.Equal(l.t, uuidText(golden), uuidText(storedUUID(l.t, l.stored(clone))), clone)
	}
	l.t.Logf("all %d clones store the golden image's UUID, %s", len(clones), uuidText(golden))
}

// requireChanged requires that what these clones store is not what the golden
// image is, and that what the others store is, but for the UUID that VirtualBox
// makes anew with the first write after it has opened an image.
func (l *lab) requireChanged(changed ...string) {
	l.t.Helper()
	golden := l.read(l.golden())
	clear(golden[modifyAt : modifyAt+16])
	for _, clone := range clones {
		image := l.read(l.stored(clone))
		clear(image[modifyAt : modifyAt+16])
		require.Equal(l.t, slices.Contains(changed, clone), !bytes.Equal(golden, image), "%s differs from the golden image", clone)
	}
}

func (l *lab) read(path string) []byte {
	l.t.Helper()
	image, err := os.ReadFile(path)
	require.NoError(l.t, err)
	return image
}
