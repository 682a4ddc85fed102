//go:build linux

package integration

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// Large reads take another way through the daemon than others: see answerSpliced of
// fs/connection.

// selfNumbered is content of which each word says where it lies.
func selfNumbered(size int) []byte {
	b := make([]byte, size)
	for off := 0; off+8 <= size; off += 8 {
		binary.NativeEndian.PutUint64(b[off:], uint64(off)|1)
	}
	return b
}

func TestLargeReadsAreRightAroundTheEndOfAFile(t *testing.T) {
	m := mount(t, fs.Options{}, "vm")
	const size = 4<<20 + 1234
	content := selfNumbered(size)
	require.NoError(t, os.WriteFile(filepath.Join(m.source, "vm", "file"), content, 0o600))
	for _, flags := range []int{0, unix.O_DIRECT} {
		f, err := os.OpenFile(filepath.Join(m.mountpoint, "vm", "file"), os.O_RDONLY|flags, 0)
		require.NoError(t, err)
		defer f.Close()
		for _, length := range []int{128 << 10, 512 << 10, 1<<20 - 8192, 1 << 20, 3 << 20} {
			for _, off := range []int{0, 512, 4096, 1 << 20, 1<<20 + 512, size - length - 1234, size - length, size - length + 512, 4 << 20, size, size + 4096} {
				buf := alignedBuffer(length)
				n, err := f.ReadAt(buf, int64(off))
				want := content[min(off, size):min(off+length, size)]
				require.Equal(t, want, buf[:n], "%d bytes at %d", length, off)
				require.True(t, err == nil || errors.Is(err, io.EOF) && n < length, "%v", err)
			}
		}
	}
}

// A word that a client reads is the one that was written there, or zero where the
// file was cut meanwhile.
func TestLargeReadsOfAFileThatIsCutAndWrittenMeanwhileGiveNothingElse(t *testing.T) {
	m := mount(t, fs.Options{}, "vm")
	const size, rounds = 2 << 20, 100
	content := selfNumbered(size)
	name := filepath.Join("vm", "file")
	require.NoError(t, os.WriteFile(filepath.Join(m.source, name), content, 0o600))
	for _, by := range []string{m.source, m.mountpoint} {
		var over atomic.Bool
		changed := make(chan error, 1)
		go func() {
			defer over.Store(true)
			changed <- cutAndWrite(filepath.Join(by, name), content, rounds)
		}()
		f, err := os.OpenFile(filepath.Join(m.mountpoint, name), os.O_RDONLY|unix.O_DIRECT, 0)
		require.NoError(t, err)
		defer f.Close()
		buf := alignedBuffer(512 << 10)
		for !over.Load() {
			for off := 0; off < size; off += len(buf) {
				n, err := f.ReadAt(buf, int64(off))
				require.True(t, err == nil || errors.Is(err, io.EOF), "%v", err)
				requireNumbered(t, buf[:n], off)
			}
		}
		require.NoError(t, <-changed)
	}
}

func cutAndWrite(path string, content []byte, times int) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range times {
		if err := f.Truncate(int64(4096 + i*17*1000%len(content))); err != nil {
			return err
		}
		if _, err := f.WriteAt(content, 0); err != nil {
			return err
		}
	}
	return nil
}

func requireNumbered(t *testing.T, b []byte, off int) {
	t.Helper()
	for i := 0; i+8 <= len(b); i += 8 {
		if word := binary.NativeEndian.Uint64(b[i:]); word != 0 && word != uint64(off+i)|1 {
			require.Equal(t, uint64(off+i)|1, word, "at %d", off+i)
		}
	}
}
