package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

// hostileHeader is a whole header whose fields are all full.
func hostileHeader(version uint32) []byte {
	header := bytes.Repeat([]byte{0xa5}, vdi.HeaderSize)
	binary.LittleEndian.PutUint32(header[64:], vdi.Signature)
	binary.LittleEndian.PutUint32(header[68:], version)
	return header
}

// presentedOf is what a client must see of the first bytes of a file in the
// volume "vm": written down here once more, so that the product is not asked
// about itself.
func presentedOf(stored []byte) []byte {
	presented := bytes.Clone(stored)
	mask := vdi.NewMask("dir:vm", vdi.KeepGuestSerial)
	for _, at := range hostileFields(stored) {
		field := presented[at : at+16]
		if bytes.Equal(field, make([]byte, 16)) || bytes.Equal(field, mask[:]) {
			continue
		}
		for i := range field {
			field[i] ^= mask[i]
		}
	}
	return presented
}

// hostileFields says where the UUIDs are that are mapped.
func hostileFields(stored []byte) []int {
	if len(stored) < 420 || binary.LittleEndian.Uint32(stored[64:]) != vdi.Signature {
		return nil
	}
	switch version := binary.LittleEndian.Uint32(stored[68:]); {
	case version>>16 == 1 && len(stored) >= 440:
		return []int{392, 424}
	case version == 2:
		return []int{372, 404}
	}
	return nil
}

// A guest with a raw disk, or who makes images, writes what it likes to every
// field. Whatever that is, nothing but the UUIDs of an image is presented
// otherwise than it is stored, and nobody is refused.
func TestEveryFieldOfAHeaderMayHaveEveryExtreme(t *testing.T) {
	m := mount(t, fs.Options{}, "vm")
	versions := []uint32{0x00010001, 2, 0, 0x00010000, 0x0001ffff, 1, 3, 0x00020000, 0xffffffff, 0x00020001}
	if isQuickRun() {
		versions = versions[:3]
	}
	for _, version := range versions {
		t.Run(fmt.Sprintf("version %#x", version), func(t *testing.T) {
			for at := 0; at < vdi.HeaderSize; at += 4 {
				for _, value := range []uint32{0, 1, 0x7fffffff, 0x80000000, 0xffffffff} {
					header := hostileHeader(version)
					binary.LittleEndian.PutUint32(header[at:], value)
					requirePresented(t, m, append(header, "what comes after the header"...), fmt.Sprintf("%#x at %d", value, at))
				}
			}
		})
	}
}

// requirePresented stores a file behind the mount and reads it there.
func requirePresented(t *testing.T, m *mounted, stored []byte, what string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(m.source, "vm/disk.vdi"), stored, 0o600))
	seen, err := os.ReadFile(filepath.Join(m.mountpoint, "vm/disk.vdi"))
	require.NoError(t, err, what)
	size := min(len(stored), vdi.HeaderSize)
	want := append(presentedOf(stored[:size]), stored[size:]...)
	if !bytes.Equal(want, seen) {
		requireSameBytes(t, want, seen, what)
	}
}

func TestAHeaderMayEndAnywhere(t *testing.T) {
	m := mount(t, fs.Options{}, "vm")
	for _, version := range []uint32{0x00010001, 2, 7} {
		for size := range vdi.HeaderSize + 2 {
			stored := append(hostileHeader(version), "ab"...)[:size]
			requirePresented(t, m, stored, fmt.Sprintf("version %#x, %d bytes", version, size))
		}
	}
}

// From one byte to two tebibytes, of which hardly any are stored.
func TestAnImageMayHaveEverySize(t *testing.T) {
	m := mount(t, fs.Options{}, "vm")
	backing, mounted := filepath.Join(m.source, "vm/disk.vdi"), filepath.Join(m.mountpoint, "vm/disk.vdi")
	for _, size := range []int64{1, 72, 440, 512, 4096, 1 << 20, 1<<31 - 1, 1 << 31, 1 << 32, 1<<32 + 1, 1 << 40, 1<<41 - 1, 1 << 41} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			stored := hostileHeader(0x00010001)[:min(size, vdi.HeaderSize)]
			require.NoError(t, os.WriteFile(backing, stored, 0o600))
			require.NoError(t, os.Truncate(backing, size))
			f, err := os.OpenFile(mounted, os.O_RDWR, 0)
			require.NoError(t, err)
			defer f.Close()
			info, err := f.Stat()
			require.NoError(t, err)
			require.Equal(t, size, info.Size())

			head := make([]byte, len(stored))
			_, err = f.ReadAt(head, 0)
			require.NoError(t, err)
			require.Equal(t, presentedOf(stored), head)
			_, err = f.WriteAt([]byte("Z"), size-1)
			require.NoError(t, err)
			last := []byte{0}
			_, err = f.ReadAt(last, size-1)
			require.NoError(t, err)
			require.Equal(t, "Z", string(last))
			require.NoError(t, f.Truncate(size/2))
			require.NoError(t, f.Truncate(size))
			_, err = f.ReadAt(last, size-1)
			require.NoError(t, err)
			require.Equal(t, []byte{0}, last)

			require.NoError(t, f.Truncate(0))
			_, err = f.WriteAt([]byte("Z"), size-1)
			require.NoError(t, err)
			info, err = os.Stat(backing)
			require.NoError(t, err)
			require.Equal(t, size, info.Size(), "an empty file that is written far from its beginning")
			_, err = f.ReadAt(last, size-1)
			require.NoError(t, err)
			require.Equal(t, "Z", string(last))
		})
	}
}
