package fs

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/vdi"
)

// testHeader is a header of version 1.1 in which no UUID is null.
func testHeader(size int) []byte {
	b := bytes.Repeat([]byte{0xaa}, size)
	binary.LittleEndian.PutUint32(b[64:], vdi.Signature)
	binary.LittleEndian.PutUint32(b[68:], 0x00010001)
	return b
}

func TestOverlayWritesTheClientsRangeAndNoMoreThanMustChange(t *testing.T) {
	mask := vdi.NewMask("dir:job-1", vdi.KeepGuestSerial)
	signature := testHeader(72)[64:]
	for _, v := range []struct {
		name       string
		stored     []byte
		data       []byte
		off        int
		from, size int
	}{
		{"a header as VirtualBox writes it", testHeader(512), testHeader(512)[72:472], 72, 72, 400},
		{"a header as its asynchronous I/O writes it", testHeader(512), testHeader(512), 0, 0, 512},
		{"one byte of a UUID", testHeader(512), []byte{1}, 397, 397, 1},
		{"one byte that makes a UUID's rest change: it becomes the mask", almost(mask), mask[15:], 407, 396, 12},
		{"bytes beyond all UUIDs", testHeader(512), []byte{1, 2}, 500, 500, 2},
		{"more than the header", testHeader(512), make([]byte, 4096), 256, 256, 4096},
		{"the signature taken away changes the fields as well", testHeader(512), make([]byte, 8), 64, 64, 372},
		{"the signature put back does so too", unsigned(testHeader(512)), signature, 64, 64, 372},
		{"the last byte that makes a file long enough to be an image", testHeader(439), []byte{1}, 439, 396, 44},
		{"a first write to an empty file", nil, []byte{1, 2, 3}, 0, 0, 3},
		{"a write that leaves a gap", nil, []byte{1, 2, 3}, 100, 100, 3},
	} {
		t.Run(v.name, func(t *testing.T) {
			presented := bytes.Clone(v.stored)
			mask.Present(presented)
			want := resize(bytes.Clone(presented), max(len(presented), v.off+len(v.data)))
			copy(want[v.off:], v.data)

			p := overlay(v.stored, append(make([]byte, 0, 512), presented...), [][]byte{v.data}, v.off, mask)
			require.Equal(t, v.from, p.off)
			require.Equal(t, v.size, totalLen(p.data))

			after := resize(bytes.Clone(v.stored), max(len(v.stored), p.off+v.size))
			copyAll(after[p.off:], p.data)
			mask.Present(after[:min(len(after), vdi.HeaderSize)])
			require.Equal(t, want, after, "what the client sees afterwards")
		})
	}
}

// almost is a header whose presented uuidCreate is the mask but for one byte.
func almost(mask vdi.Mask) []byte {
	b := testHeader(512)
	copy(b[392:], mask[:])
	b[407] ^= 0xff
	mask.Present(b)
	return b
}

func unsigned(header []byte) []byte {
	clear(header[64:72])
	return header
}

func TestAShortWriteCountsTheClientsBytesOnly(t *testing.T) {
	p := patch{before: 10, client: 100}
	for written, want := range map[int]int{0: 0, 5: 0, 10: 0, 11: 1, 110: 100, 150: 100} {
		require.Equal(t, want, p.clientBytes(written))
	}
}

func TestSpanFindsTheBytesThatMustBeStored(t *testing.T) {
	for _, v := range []struct {
		name         string
		stored, want []byte
		from, to     int
	}{
		{"nothing differs", []byte{1, 2}, []byte{1, 2}, 0, 0},
		{"one byte differs", []byte{1, 2, 3}, []byte{1, 9, 3}, 1, 2},
		{"two bytes apart differ", []byte{1, 2, 3}, []byte{7, 2, 9}, 0, 3},
		{"zeros beyond the end are there already", []byte{1}, []byte{1, 0, 0}, 0, 0},
		{"other bytes beyond the end are not", []byte{1}, []byte{1, 0, 5}, 2, 3},
	} {
		t.Run(v.name, func(t *testing.T) {
			from, to := span(v.stored, v.want)
			require.Equal(t, []int{v.from, v.to}, []int{from, to})
		})
	}
}

func TestSplitAtCutsBetweenAndWithinBuffers(t *testing.T) {
	data := [][]byte{{1, 2}, {}, {3, 4, 5}, {6}}
	for n := range 8 {
		head, rest := splitAt(data, n)
		require.Equal(t, min(n, 6), totalLen(head))
		require.Equal(t, []byte{1, 2, 3, 4, 5, 6}, bytes.Join(append(head[:len(head):len(head)], rest...), nil))
	}
}
