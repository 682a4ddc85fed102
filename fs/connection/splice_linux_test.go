package connection

import (
	"bytes"
	"encoding/binary"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// oneFile is a file system that reads one file, and counts how.
type oneFile struct {
	FileSystem
	file            *os.File
	copied, spliced int
	meanwhile       func() // happens while a read is in work
}

func (f *oneFile) SpliceFrom(*fuse.ReadIn) int {
	f.spliced++
	f.meanwhile()
	return int(f.file.Fd())
}

func (f *oneFile) ReadFile(in *fuse.ReadIn, dest []byte) (int, fuse.Status) {
	f.copied++
	n, err := f.file.ReadAt(dest, int64(in.Offset))
	if err != nil && err != io.EOF {
		return 0, fuse.ToStatus(err)
	}
	return n, fuse.OK
}

// A bench is a worker that reads a file, and the end of its device that is the
// kernel's.
type bench struct {
	*worker
	fs      *oneFile
	content []byte
	kernel  *os.File
	log     strings.Builder
	request uint64
}

const benchFile = 2<<20 + 1234

// newBench makes one whose device is a pipe.
func newBench(t *testing.T) *bench {
	t.Helper()
	var kernel pipe
	require.NoError(t, kernel.make())
	t.Cleanup(func() { unix.Close(kernel.in) })
	b := newBenchOn(t, kernel.in)
	b.kernel = os.NewFile(uintptr(kernel.out), "kernel")
	t.Cleanup(func() { b.kernel.Close() })
	return b
}

func newBenchOn(t *testing.T, device int) *bench {
	t.Helper()
	b := &bench{content: make([]byte, benchFile)}
	_, _ = rand.NewChaCha8([32]byte{}).Read(b.content)
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, b.content, 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	b.fs = &oneFile{file: file, meanwhile: func() {}}
	c := New(fuse.MountOptions{MaxWrite: 1 << 20, Logger: log.New(&b.log, "", 0)})
	c.fs, c.device = b.fs, device
	b.worker = c.workers.take(c)
	t.Cleanup(c.workers.closePipes)
	return b
}

// read has the worker answer a read.
func (b *bench) read(size, off int) {
	b.request += 2
	*b.readIn() = fuse.ReadIn{Offset: uint64(off), Size: uint32(size)}
	*b.header() = header{Length: uint32(readInSize), Opcode: opRead, Unique: b.request}
	b.answer(readInSize)
}

// message is an answer as the kernel wants it.
func message(request uint64, errno int32, data []byte) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.NativeEndian, fuse.OutHeader{Length: uint32(outHeaderSize + len(data)), Status: -errno, Unique: request})
	return append(b.Bytes(), data...)
}

// requireAnswer wants a read's answer to have reached the kernel, and no more.
func (b *bench) requireAnswer(t *testing.T, size, off int) {
	t.Helper()
	want := message(b.request, 0, b.content[min(off, benchFile):min(off+size, benchFile)])
	require.Equal(t, want, b.received(t))
}

// received is all that has reached the kernel.
func (b *bench) received(t *testing.T) []byte {
	t.Helper()
	got := make([]byte, 2<<20)
	require.NoError(t, b.kernel.SetReadDeadline(time.Now().Add(10*time.Second)), "where there is no answer")
	n, err := b.kernel.Read(got)
	require.NoError(t, err)
	return got[:n]
}

func TestALargeReadIsSplicedAndAnsweredAsIfCopied(t *testing.T) {
	fitting := pipeSize - 2*pageSize
	for _, v := range []struct {
		name            string
		size, off       int
		spliced, copied int
	}{
		{"a page", 4096, 4096, 0, 1},
		{"just too small", leastSpliced - 1, 4096, 0, 1},
		{"just large enough", leastSpliced, 4096, 1, 0},
		{"as large as readahead", readAhead << 10, 1 << 20, 1, 0},
		{"behind a header", leastSpliced, 512, 1, 0},
		{"bytes that lie across pages", leastSpliced + 1, 4095, 1, 0},
		{"as much as fits", fitting, 8192, 1, 0},
		{"as much as fits, across pages", fitting, 4095, 1, 0},
		{"as much as a request has", 1<<20 - 512, 0, 0, 1},
		{"up to the file's last byte", leastSpliced, benchFile - leastSpliced, 1, 0},
		{"one byte more than the file has", leastSpliced, benchFile - leastSpliced + 1, 1, 1},
		{"a page at the file's end", leastSpliced, benchFile - 4096, 1, 1},
		{"the file's last byte", leastSpliced, benchFile - 1, 1, 1},
		{"nothing, at the file's end", leastSpliced, benchFile, 1, 1},
		{"nothing, beyond it", leastSpliced, benchFile + 4096, 1, 1},
	} {
		t.Run(v.name, func(t *testing.T) {
			b := newBench(t)
			for range 2 { // the second time with what the first one left
				b.fs.copied, b.fs.spliced = 0, 0
				b.read(v.size, v.off)
				b.requireAnswer(t, v.size, v.off)
				require.Equal(t, []int{v.spliced, v.copied}, []int{b.fs.spliced, b.fs.copied})
			}
			require.Empty(t, b.log.String())
		})
	}
}

func TestAnAbandonedReadLeavesNothingForTheNextAnswer(t *testing.T) {
	for _, v := range []struct {
		name string
		off  int
	}{
		{"all of it is in the pipe", 4096},
		{"the file ends before", benchFile - 4096},
	} {
		t.Run(v.name, func(t *testing.T) {
			b := newBench(t)
			b.fs.meanwhile = func() { b.abandon(b.request) }
			b.read(leastSpliced, v.off)
			require.Equal(t, message(b.request, int32(unix.EINTR), nil), b.received(t), "that it was interrupted, and no more")

			b.fs.meanwhile = func() {}
			b.fs.copied = 0
			b.read(2*leastSpliced, 8192)
			b.requireAnswer(t, 2*leastSpliced, 8192)
			require.Zero(t, b.fs.copied)
		})
	}
}

func TestAFileThatIsCutWhileItIsReadGivesWhatIsLeft(t *testing.T) {
	b := newBench(t)
	const left = 1<<20 + 77
	b.fs.meanwhile = func() { require.NoError(t, os.Truncate(b.fs.file.Name(), left)) }
	b.read(2*leastSpliced, 1<<20)
	require.Equal(t, message(b.request, 0, b.content[1<<20:left]), b.received(t))

	b.read(leastSpliced, 4096)
	b.requireAnswer(t, leastSpliced, 4096)
}

// A file that is only appended to cannot be spliced to.
func TestReadsAreCopiedWhereTheKernelTakesNoPipe(t *testing.T) {
	device, err := os.OpenFile(filepath.Join(t.TempDir(), "device"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { device.Close() })
	b := newBenchOn(t, int(device.Fd()))
	b.read(leastSpliced, 4096)
	b.read(leastSpliced, 8192)

	got, err := os.ReadFile(device.Name())
	require.NoError(t, err)
	want := append(message(2, 0, b.content[4096:][:leastSpliced]), message(4, 0, b.content[8192:][:leastSpliced])...)
	require.Equal(t, want, got)
	require.Equal(t, 1, b.fs.spliced, "it is tried once")
	require.Contains(t, b.log.String(), "copied from now on")
}

func TestReadsAreCopiedWhereThereIsNoDescriptorForAPipe(t *testing.T) {
	b := newBench(t)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}))
	b.read(leastSpliced, 4096)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))

	b.requireAnswer(t, leastSpliced, 4096)
	require.Equal(t, 1, b.fs.copied)
	b.read(leastSpliced, 4096)
	b.requireAnswer(t, leastSpliced, 4096)
	require.Equal(t, 1, b.fs.copied, "the next one is spliced again")
}

func TestPipesAreClosedWithTheConnection(t *testing.T) {
	b := newBench(t)
	b.read(leastSpliced, 4096)
	ends := []int{b.pipe.out, b.pipe.in}
	b.c.device, _ = unix.Dup(b.c.device)
	b.c.close()
	for _, end := range ends {
		_, err := unix.FcntlInt(uintptr(end), unix.F_GETFD, 0)
		require.Equal(t, unix.EBADF, err)
	}
}
