package integration

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

var (
	fsxSeed = flag.Int64("fsx.seed", 0, "replay this seed instead of the fixed ones and a new one")
	fsxOps  = flag.Int("fsx.ops", 1500, "operations for each seed")
)

// Random operations on two images in two volumes, in the manner of fsx. After
// each one, every byte that a client sees is what the rule says (its own bytes
// over what it saw before), and every stored byte is that mapped back.
func TestWhatAClientReadsIsWhatItReadBeforeWithItsOwnBytesOverIt(t *testing.T) {
	seeds := []int64{time.Now().UnixNano(), 1, 2, 3, 4, 5, 6}
	if isQuickRun() {
		seeds = seeds[:2]
	}
	if *fsxSeed != 0 {
		seeds = []int64{*fsxSeed}
	}
	for _, seed := range seeds {
		serial := vdi.GuestSerial(seed % 2)
		t.Run(fmt.Sprintf("seed %d guest serial %s", seed, serial.String()), func(t *testing.T) {
			m := mount(t, fs.Options{GuestSerial: serial}, "a", "b")
			x := &fsx{t: t, rand: rand.New(rand.NewSource(seed)), mounted: m}
			x.images[0] = x.newImage("a", serial)
			x.images[1] = x.newImage("b", serial)
			t.Cleanup(func() { x.report(seed) })
			for range *fsxOps {
				x.step()
			}
		})
	}
}

// fsx is one run.
type fsx struct {
	*mounted
	t      *testing.T
	rand   *rand.Rand
	images [2]*fsxImage
	log    []string
}

// An fsxImage is a file, the descriptors a client has of it, and what the
// client must see.
type fsxImage struct {
	volume  string
	mask    vdi.Mask
	handles map[string]*os.File
	view    []byte
}

var fsxFlags = map[string]int{
	"read-write":   os.O_RDWR,
	"second":       os.O_RDWR,
	"write-only":   os.O_WRONLY,
	"append":       os.O_WRONLY | os.O_APPEND,
	"direct":       os.O_RDWR | unix.O_DIRECT,
	"synchronous":  os.O_RDWR | os.O_SYNC,
	"through link": os.O_RDWR,
}

func (x *fsx) newImage(volume string, serial vdi.GuestSerial) *fsxImage {
	image := &fsxImage{volume: volume, mask: vdi.NewMask("dir:"+volume, serial)}
	require.NoError(x.t, os.WriteFile(x.path(image), nil, 0o600))
	x.reopen(image)
	x.t.Cleanup(image.close)
	return image
}

func (x *fsx) path(image *fsxImage) string {
	return filepath.Join(x.mountpoint, image.volume, "disk.vdi")
}

func (i *fsxImage) close() {
	for _, f := range i.handles {
		f.Close()
	}
	i.handles = map[string]*os.File{}
}

// reopen opens all descriptors anew, one of them through a hard link.
func (x *fsx) reopen(image *fsxImage) {
	image.close()
	link := x.path(image) + ".link"
	os.Remove(link)
	require.NoError(x.t, os.Link(x.path(image), link))
	for name, flags := range fsxFlags {
		path := x.path(image)
		if name == "through link" {
			path = link
		}
		f, err := os.OpenFile(path, flags, 0)
		require.NoError(x.t, err)
		image.handles[name] = f
	}
}

// step does one operation and checks its outcome.
func (x *fsx) step() {
	image, other := x.images[0], x.images[1]
	if x.rand.Intn(2) == 0 {
		image, other = other, image
	}
	switch x.rand.Intn(20) {
	case 0:
		x.truncate(image)
	case 1:
		x.fallocate(image)
	case 2:
		x.copyFrom(image, other)
	case 3:
		x.writeHeader(image)
	case 4, 5:
		x.writeSignature(image)
	case 6:
		x.openTruncated(image)
	case 7:
		x.renameOver(image)
	case 8:
		x.append(image)
	case 9:
		x.writeDirect(image)
	default:
		x.write(image)
	}
	x.check(image)
	x.check(other)
}

// interesting are the offsets where something in a header begins or ends.
var interesting = []int{0, 64, 68, 72, 372, 380, 388, 392, 400, 404, 408, 420, 424, 432, 440, 456, 472, 511, 512, 513, 1024}

func (x *fsx) offset() int {
	switch x.rand.Intn(4) {
	case 0:
		return x.rand.Intn(1024)
	case 1:
		return x.rand.Intn(9000)
	default:
		return max(0, interesting[x.rand.Intn(len(interesting))]+x.rand.Intn(5)-2)
	}
}

func (x *fsx) bytes(n int) []byte {
	b := make([]byte, n)
	if x.rand.Intn(4) > 0 { // else zeros: null UUIDs
		x.rand.Read(b)
	}
	return b
}

func (x *fsx) note(format string, args ...any) { x.log = append(x.log, fmt.Sprintf(format, args...)) }

func (x *fsx) report(seed int64) {
	if x.t.Failed() {
		last := x.log[max(0, len(x.log)-30):]
		x.t.Logf("replay with: go test ./integration -run OwnBytes -fsx.seed=%d; the last of %d operations:", seed, len(x.log))
		for _, line := range last {
			x.t.Log(line)
		}
	}
}

func (x *fsx) handle(image *fsxImage) (string, *os.File) {
	names := []string{"read-write", "second", "write-only", "synchronous", "through link"}
	name := names[x.rand.Intn(len(names))]
	return name, image.handles[name]
}

func (x *fsx) write(image *fsxImage) {
	x.writeAt(image, x.bytes(1+x.rand.Intn(40)), x.offset())
}

func (x *fsx) writeAt(image *fsxImage, data []byte, off int) {
	name, f := x.handle(image)
	x.note("%s: write %d at %d (%s)", image.volume, len(data), off, name)
	_, err := f.WriteAt(data, int64(off))
	require.NoError(x.t, err)
	image.lay(data, off)
}

// lay lays data over the view.
func (i *fsxImage) lay(data []byte, off int) {
	i.resize(max(len(i.view), off+len(data)))
	copy(i.view[off:], data)
}

func (i *fsxImage) resize(size int) {
	if size <= len(i.view) {
		i.view = i.view[:size:size]
		return
	}
	i.view = append(i.view, make([]byte, size-len(i.view))...)
}

// writeHeader writes a whole header, at once or byte by byte.
func (x *fsx) writeHeader(image *fsxImage) {
	header := x.bytes(512)
	binary.LittleEndian.PutUint32(header[64:], vdi.Signature)
	binary.LittleEndian.PutUint32(header[68:], []uint32{0x00010001, 2, 0x0001ffff, 3}[x.rand.Intn(4)])
	if x.rand.Intn(3) == 0 {
		copy(header[392:], image.mask[:]) // u == mask
	}
	header = header[:[]int{420, 439, 440, 456, 472, 512}[x.rand.Intn(6)]]
	piece := []int{1, 7, 72, 512}[x.rand.Intn(4)]
	for off := 0; off < len(header); off += piece {
		x.writeAt(image, header[off:min(off+piece, len(header))], off)
		if piece == 1 && off%16 == 0 {
			x.check(image)
		}
	}
}

// writeSignature makes an image of a file, or takes that away again.
func (x *fsx) writeSignature(image *fsxImage) {
	var b [8]byte
	binary.LittleEndian.PutUint32(b[:], vdi.Signature)
	binary.LittleEndian.PutUint32(b[4:], []uint32{0x00010001, 0x00010001, 2, 0}[x.rand.Intn(4)])
	cut := x.rand.Intn(8)
	x.writeAt(image, b[cut:], 64+cut)
}

func (x *fsx) append(image *fsxImage) {
	data := x.bytes(1 + x.rand.Intn(200))
	x.note("%s: append %d", image.volume, len(data))
	_, err := image.handles["append"].Write(data)
	require.NoError(x.t, err)
	image.lay(data, len(image.view))
}

// writeDirect writes as VirtualBox does with the host's cache off.
func (x *fsx) writeDirect(image *fsxImage) {
	data, off := x.bytes(512*(1+x.rand.Intn(3))), 512*x.rand.Intn(3)
	x.note("%s: write %d at %d (direct)", image.volume, len(data), off)
	_, err := image.handles["direct"].WriteAt(data, int64(off))
	require.NoError(x.t, err)
	image.lay(data, off)
}

func (x *fsx) truncate(image *fsxImage) {
	size := x.offset()
	x.note("%s: truncate to %d", image.volume, size)
	if x.rand.Intn(2) == 0 {
		require.NoError(x.t, os.Truncate(x.path(image), int64(size)))
	} else {
		require.NoError(x.t, image.handles["write-only"].Truncate(int64(size)))
	}
	image.resize(size)
}

// openTruncated truncates by opening, reading only or not.
func (x *fsx) openTruncated(image *fsxImage) {
	if x.rand.Intn(4) > 0 {
		return // a file that is always empty is a dull file
	}
	flags := []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREATE}[x.rand.Intn(3)]
	x.note("%s: open with O_TRUNC and %#x", image.volume, flags)
	f, err := os.OpenFile(x.path(image), flags|os.O_TRUNC, 0o600)
	require.NoError(x.t, err)
	require.NoError(x.t, f.Close())
	image.resize(0)
}

func (x *fsx) fallocate(image *fsxImage) {
	modes := []uint32{
		0, unix.FALLOC_FL_KEEP_SIZE,
		unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE,
		unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE,
		unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_INSERT_RANGE,
	}
	mode, off, size := modes[x.rand.Intn(len(modes))], x.offset(), 1+x.rand.Intn(600)
	_, f := x.handle(image)
	err := unix.Fallocate(int(f.Fd()), mode, int64(off), int64(size))
	x.note("%s: fallocate mode %#x, %d at %d: %v", image.volume, mode, size, off, err)
	if mode&(unix.FALLOC_FL_COLLAPSE_RANGE|unix.FALLOC_FL_INSERT_RANGE) != 0 {
		require.Error(x.t, err, "FUSE has no such mode")
		return
	}
	if err == unix.EOPNOTSUPP {
		return // the backing file system does not have this mode
	}
	require.NoError(x.t, err)
	end := off + size
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 {
		image.resize(max(len(image.view), end))
	}
	if mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 && off < len(image.view) {
		clear(image.view[off:min(end, len(image.view))])
	}
}

// copyFrom copies with copy_file_range(2) from one volume to another.
func (x *fsx) copyFrom(image, from *fsxImage) {
	offIn, offOut, size := int64(x.offset()), int64(x.offset()), 1+x.rand.Intn(1200)
	in, out := int(from.handles["read-write"].Fd()), int(image.handles["second"].Fd())
	at := int(offOut)
	data := from.view[min(int(offIn), len(from.view)):min(int(offIn)+size, len(from.view))]
	for done := 0; done < len(data); {
		n, err := unix.CopyFileRange(in, &offIn, out, &offOut, len(data)-done, 0)
		require.NoError(x.t, err)
		require.Positive(x.t, n)
		done += n
	}
	x.note("%s: copied %d to %d", image.volume, len(data), at)
	if len(data) > 0 {
		image.lay(data, at)
	}
}

// renameOver replaces the image by a file that was written under another name,
// while descriptors of the old one are open.
func (x *fsx) renameOver(image *fsxImage) {
	x.note("%s: rename over it", image.volume)
	content := bytes.Clone(image.view)
	temporary := x.path(image) + ".tmp"
	require.NoError(x.t, os.WriteFile(temporary, content, 0o600))
	require.NoError(x.t, os.Rename(temporary, x.path(image)))
	old, err := io.ReadAll(io.NewSectionReader(image.handles["read-write"], 0, 1<<20))
	require.NoError(x.t, err)
	requireSameBytes(x.t, image.view, old, image.volume+": the old file, by an open descriptor")
	x.reopen(image)
}

// check compares what a client sees, and what is stored, with what must be.
func (x *fsx) check(image *fsxImage) {
	name := []string{"read-write", "second", "synchronous", "through link"}[x.rand.Intn(4)]
	seen, err := io.ReadAll(io.NewSectionReader(image.handles[name], 0, 1<<20))
	require.NoError(x.t, err)
	requireSameBytes(x.t, image.view, seen, image.volume+": what a client sees")

	stored, err := os.ReadFile(filepath.Join(x.source, image.volume, "disk.vdi"))
	require.NoError(x.t, err)
	want := bytes.Clone(image.view)
	image.mask.Present(want[:min(len(want), vdi.HeaderSize)])
	requireSameBytes(x.t, want, stored, image.volume+": what is stored")
}

func requireSameBytes(t testing.TB, want, got []byte, what string) {
	t.Helper()
	if bytes.Equal(want, got) {
		return
	}
	first := 0
	for first < min(len(want), len(got)) && want[first] == got[first] {
		first++
	}
	require.FailNow(t, what, "%d bytes wanted, %d there; the first that differs is at %d", len(want), len(got), first)
}
