package vdi_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/vdi"
)

// header returns 512 bytes, none of them zero, with a signature and a version.
func header(version uint32) []byte {
	b := make([]byte, vdi.HeaderSize)
	for i := range b {
		b[i] = byte(1 + i%255)
	}
	binary.LittleEndian.PutUint32(b[64:], vdi.Signature)
	binary.LittleEndian.PutUint32(b[68:], version)
	return b
}

func TestAHeaderIsRecognizedByItsContent(t *testing.T) {
	badSignature := header(0x00010001)
	badSignature[64] ^= 1
	for _, v := range []struct {
		name   string
		header []byte
		major  int // -1: not an image
	}{
		{"version 1.1 is an image", header(0x00010001), 1},
		{"version 1.0 is an image", header(0x00010000), 1},
		{"version 1.65535 is an image", header(0x0001ffff), 1},
		{"version 0.2 is an image of the old layout", header(0x00000002), 0},
		{"version 0.1 is none that VirtualBox opens", header(0x00000001), -1},
		{"version 0.3 is none that VirtualBox opens", header(0x00000003), -1},
		{"version 2.0 is unknown", header(0x00020000), -1},
		{"version 0 is unknown", header(0), -1},
		{"a wrong signature is no image", badSignature, -1},
		{"nothing is no image", nil, -1},
		{"a signature at the very end is not enough", header(0x00010001)[:68], -1},
		{"version 1.1 without its linkage is too short", header(0x00010001)[:439], -1},
		{"version 1.1 with just its linkage is long enough", header(0x00010001)[:440], 1},
		{"version 0.2 without its linkage is too short", header(0x00000002)[:419], -1},
		{"version 0.2 with just its linkage is long enough", header(0x00000002)[:420], 0},
	} {
		t.Run(v.name, func(t *testing.T) {
			layout, ok := vdi.Recognize(v.header)
			require.Equal(t, v.major >= 0, ok)
			if ok {
				require.Equal(t, v.major, layout.Major)
			}
			mask := vdi.NewMask("dir:job-1", vdi.KeepGuestSerial)
			presented := bytes.Clone(v.header)
			mask.Present(presented)
			require.Equal(t, ok, !bytes.Equal(v.header, presented), "only images are presented changed")
			_, err := vdi.Parse(v.header)
			require.Equal(t, ok, err == nil)
		})
	}
}

func TestNoOtherFieldOfAHeaderIsTrusted(t *testing.T) {
	for _, value := range []uint32{0, 1, 384, 1 << 20, 1 << 31, 0xffffffff} {
		b := header(0x00010001)
		for _, offset := range []int{72, 76, 80, 340, 344, 360, 368, 372, 376, 380, 384, 388} {
			binary.LittleEndian.PutUint32(b[offset:], value)
		}
		layout, ok := vdi.Recognize(b)
		require.True(t, ok)
		require.Equal(t, 392, layout.Fields[0].Offset)
	}
}

func TestFieldsStandWhereVirtualBoxHasThem(t *testing.T) {
	for version, want := range map[uint32][]vdi.Field{
		0x00010001: {{"uuidCreate", 392, true}, {"uuidModify", 408, false}, {"uuidLinkage", 424, true}, {"uuidParentModify", 440, false}},
		0x00000002: {{"uuidCreate", 372, true}, {"uuidModify", 388, false}, {"uuidLinkage", 404, true}},
	} {
		layout, ok := vdi.Recognize(header(version))
		require.True(t, ok)
		require.Equal(t, want, layout.Fields)
	}
}
