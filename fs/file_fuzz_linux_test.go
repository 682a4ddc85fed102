package fs

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// FuzzFile: whatever clients do to two files of two volumes, what they read
// afterwards is what they read before with their own bytes laid over it, and
// what is stored is that with the UUIDs mapped back. Stored is what the first
// file begins with, program what is done; see fuzzedFiles.step.
func FuzzFile(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add(testHeader(512), []byte("\x00\x00\x48\x01\x90\x05\x07\x00\x02\x01\x88\x00\x20\x01\x09\x01"))
	f.Add(testHeader(440), []byte("\x02\x01\xb7\x00\x00\x00\x00\x00\x02\x01\xb8\x00\x00\x00\x00\x00"))
	f.Add(unsigned(testHeader(600)), []byte("\x01\x00\x40\x00\x08\x00\x00\x00\x03\x00\x00\x02\x00\x02\x00\x00"))
	f.Add(almost(vdi.NewMask("dir:a", vdi.KeepGuestSerial)), []byte("\x04\x00\x00\x02\x00\x00\x00\x00\x04\x00\x80\x01\x00\x01\x00\x01"))
	// Nothing is written beyond the end of what was an image.
	f.Add(testHeader(440), []byte("\x02\x01\x9a\x00\x00\x00\x00\x00\x00\x09\x20\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, stored, program []byte) {
		x := newFuzzedFiles(t, stored[:min(len(stored), fuzzedSize)])
		for ; len(program) >= stepSize; program = program[stepSize:] {
			x.step([stepSize]byte(program))
		}
	})
}

// The same with random programs, which every run of the tests plays.
func TestRandomOperationsOnFilesKeepTheRule(t *testing.T) {
	source := rand.New(rand.NewSource(1))
	for range 400 {
		x := newFuzzedFiles(t, testHeader(700)[:source.Intn(700)])
		for range 30 {
			var op [stepSize]byte
			source.Read(op[:])
			x.step(op)
		}
		x.close()
	}
}

const (
	// fuzzedSize is how far operations go: beyond the header, and beyond a page.
	fuzzedSize = 5000
	// stepSize is how many bytes of a program one operation takes.
	stepSize = 8
)

// fuzzedFiles are files without a mount, each with what a client must see of it.
type fuzzedFiles struct {
	t     testing.TB
	files [2]*file
	views [2][]byte
}

func newFuzzedFiles(t testing.TB, stored []byte) *fuzzedFiles {
	x := &fuzzedFiles{t: t}
	t.Cleanup(x.close)
	for i, identity := range []string{"dir:a", "dir:b"} {
		fd, err := unix.MemfdCreate("clonefs", unix.MFD_CLOEXEC)
		require.NoError(t, err)
		mask := vdi.NewMask(identity, vdi.GuestSerial(i))
		x.files[i] = &file{fd: fd, vol: &volume{mask: mask}, header: &header{}}
	}
	_, err := unix.Pwrite(x.files[0].fd, stored, 0)
	require.NoError(t, err)
	x.views[0] = mapped(stored, x.files[0].vol.mask)
	x.check()
	return x
}

func (x *fuzzedFiles) close() {
	for _, f := range x.files {
		if f != nil && f.fd >= 0 {
			unix.Close(f.fd)
			f.fd = -1
		}
	}
}

// step does one operation: its kind, an offset and a size in two bytes each, how
// it is done, the value that is written, and which of the files it is done to.
func (x *fuzzedFiles) step(op [stepSize]byte) {
	off := int(binary.BigEndian.Uint16(op[1:])) % fuzzedSize
	size := int(binary.BigEndian.Uint16(op[3:])) % (fuzzedSize - off)
	if op[0]&0x80 != 0 { // within the header, mostly
		off, size = off%520, size%520
	}
	how, value, i := op[5], op[6], int(op[7]%2)
	before := bytes.Clone(x.views[i])
	uuids := x.storedUUIDs(i)
	switch (op[0] & 0x7f) % 6 {
	case 0:
		x.write(i, bytes.Repeat([]byte{value}, size), off, how)
	case 1: // what makes an image, or its beginning
		x.write(i, testHeader(72)[64:65+how%8], 64, 0)
	case 2:
		require.NoError(x.t, x.files[i].truncate(int64(off)))
		x.views[i] = resize(x.views[i], off)
	case 3:
		x.allocate(i, off, max(size, 1), how)
	case 4:
		x.copy(i, off, size, int(value)*4)
	case 5: // a short write, somewhere in the fields
		x.write(i, bytes.Repeat([]byte{value}, 1+int(how%17)), 360+off%100, how)
	}
	x.check()
	x.checkUUIDs(i, before, uuids)
}

// write writes in one buffer or, as requests may come, in two.
func (x *fuzzedFiles) write(i int, data []byte, off int, how byte) {
	cut := int(how) % (len(data) + 1)
	n, err := x.files[i].writeAt([][]byte{data[:cut], data[cut:]}, int64(off))
	require.NoError(x.t, err)
	require.Equal(x.t, len(data), n)
	x.lay(i, data, off)
}

func (x *fuzzedFiles) lay(i int, data []byte, off int) {
	if len(data) > 0 {
		x.views[i] = resize(x.views[i], max(len(x.views[i]), off+len(data)))
		copy(x.views[i][off:], data)
	}
}

func (x *fuzzedFiles) allocate(i, off, size int, how byte) {
	mode := []uint32{0, fallocKeepSize, fallocPunchHole | fallocKeepSize, fallocZeroRange, unix.FALLOC_FL_COLLAPSE_RANGE}[how%5]
	err := x.files[i].allocate(int64(off), int64(size), mode)
	if mode == unix.FALLOC_FL_COLLAPSE_RANGE {
		require.ErrorIs(x.t, err, unix.EOPNOTSUPP)
	}
	if err == unix.EOPNOTSUPP {
		return // tmpfs zeroes no ranges
	}
	require.NoError(x.t, err)
	view := x.views[i]
	if mode&fallocKeepSize == 0 {
		view = resize(view, max(len(view), off+size))
	}
	if mode&(fallocPunchHole|fallocZeroRange) != 0 {
		clear(view[min(off, len(view)):min(off+size, len(view))])
	}
	x.views[i] = view
}

// copy copies from the other file.
func (x *fuzzedFiles) copy(i, off, size, from int) {
	n, err := copyRange(x.files[1-i], int64(from), x.files[i], int64(off), size)
	require.NoError(x.t, err)
	source := x.views[1-i]
	data := source[min(from, len(source)):min(from+size, len(source))]
	require.LessOrEqual(x.t, n, len(data))
	require.True(x.t, n > 0 || len(data) == 0, "nothing was copied of %d bytes", len(data))
	x.lay(i, bytes.Clone(data[:n]), off)
}

// check compares what clients read, whole and in parts, and what is stored.
func (x *fuzzedFiles) check() {
	for i, f := range x.files {
		requireBytes(x.t, x.views[i], x.read(i, 0, 2*fuzzedSize), "what a client reads")
		for _, at := range []int{64, 380, 400, 424, 500, 512} {
			from, to := min(at, len(x.views[i])), min(at+24, len(x.views[i]))
			requireBytes(x.t, x.views[i][from:to], x.read(i, at, 24), "what a client reads at %d", at)
		}
		requireBytes(x.t, mapped(x.views[i], f.vol.mask), x.stored(i), "what is stored")
	}
}

// requireBytes shows nothing of what is equal: it is called too often.
func requireBytes(t testing.TB, want, got []byte, what string, args ...any) {
	t.Helper()
	if !bytes.Equal(want, got) {
		require.Equal(t, want, got, append([]any{what}, args...)...)
	}
}

func (x *fuzzedFiles) read(i, off, size int) []byte {
	buf := make([]byte, size)
	n, err := x.files[i].readAt(buf, int64(off))
	require.NoError(x.t, err)
	return buf[:n:n]
}

func (x *fuzzedFiles) stored(i int) []byte {
	buf := make([]byte, 2*fuzzedSize)
	n, err := unix.Pread(x.files[i].fd, buf, 0)
	require.NoError(x.t, err)
	return buf[:n:n]
}

// storedUUIDs are the stored UUIDs by offset, none if it is no image.
func (x *fuzzedFiles) storedUUIDs(i int) map[int]string {
	uuids, stored := map[int]string{}, x.stored(i)
	for _, at := range fieldsOf(stored) {
		uuids[at] = string(stored[at : at+16])
	}
	return uuids
}

// checkUUIDs fails if a stored UUID has changed that the client sees unchanged.
func (x *fuzzedFiles) checkUUIDs(i int, before []byte, uuids map[int]string) {
	for at, now := range x.storedUUIDs(i) {
		was, wasImage := uuids[at]
		if wasImage && bytes.Equal(before[at:at+16], x.views[i][at:at+16]) {
			require.Equal(x.t, was, now, "the stored UUID at %d", at)
		}
	}
}

// fieldsOf says where an image has the UUIDs that are mapped: written down here
// once more, so that this does not believe what it tests.
func fieldsOf(b []byte) []int {
	switch {
	case len(b) < 72 || !bytes.Equal(b[64:68], []byte{0x7f, 0x10, 0xda, 0xbe}):
	case b[70] == 1 && b[71] == 0 && len(b) >= 440:
		return []int{392, 424}
	case bytes.Equal(b[68:72], []byte{2, 0, 0, 0}) && len(b) >= 420:
		return []int{372, 404}
	}
	return nil
}

// mapped is b with its UUIDs mapped, or mapped back.
func mapped(b []byte, mask vdi.Mask) []byte {
	b = append(make([]byte, 0, len(b)), b...)
	for _, at := range fieldsOf(b) {
		if field := b[at : at+16]; !bytes.Equal(field, make([]byte, 16)) && !bytes.Equal(field, mask[:]) {
			for i := range field {
				field[i] ^= mask[i]
			}
		}
	}
	return b
}
