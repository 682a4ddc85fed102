//go:build linux

package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/vdi"
)

const (
	crashWriters = 16
	recordSize   = 512
	recordStart  = 4096
	modifyOffset = 408 // uuidModify of a header of version 1
)

// A load is writers that make an image each durable record by record, and its
// header between, as VirtualBox does: what has been acknowledged must be there.
type load struct {
	mount   *daemon.Mount
	source  string
	writers []*writer
	running sync.WaitGroup
	stop    atomic.Bool
}

// A writer writes records to an image.
type writer struct {
	volume string
	sync   int // the flag of open(2), or 0 where it calls fsync(2)
	salt   uint64
	acked  atomic.Int64
	err    error // valid when the load has ended
}

// newLoad mounts a source with an image for each writer.
func newLoad(t *testing.T) *load {
	t.Helper()
	requireRoot(t)
	l := &load{source: t.TempDir()}
	for i := range crashWriters {
		w := &writer{volume: fmt.Sprintf("job-%d", i), sync: []int{0, unix.O_SYNC, unix.O_DSYNC}[i%3]}
		require.NoError(t, os.Mkdir(filepath.Join(l.source, w.volume), 0o755))
		require.NoError(t, os.WriteFile(l.stored(w), realHeader(t), 0o600))
		l.writers = append(l.writers, w)
	}
	l.mount = daemon.Start(t, l.source, t.TempDir())
	return l
}

func (l *load) stored(w *writer) string    { return filepath.Join(l.source, w.volume, "disk.vdi") }
func (l *load) presented(w *writer) string { return filepath.Join(l.mount.Dir, w.volume, "disk.vdi") }

// start lets the writers write, from the first record on and with other records
// than the last time. They write until halt is called or an error ends them.
func (l *load) start(t *testing.T) {
	t.Helper()
	l.stop.Store(false)
	for _, w := range l.writers {
		file, err := os.OpenFile(l.presented(w), os.O_RDWR|w.sync, 0)
		require.NoError(t, err)
		w.salt++
		w.acked.Store(0)
		l.running.Go(func() {
			w.err = w.write(file, &l.stop)
			_ = file.Close() // what it says is not about what was acknowledged
		})
	}
	t.Cleanup(l.halt)
}

// await waits until this many records have been acknowledged to each writer.
func (l *load) await(t *testing.T, records int64) {
	t.Helper()
	l.eventually(t, "the writers get on", func() bool {
		return !slices.ContainsFunc(l.writers, func(w *writer) bool { return w.acked.Load() < records })
	})
}

// goOn waits until every writer has had another few records acknowledged.
func (l *load) goOn(t *testing.T) {
	t.Helper()
	for _, w := range l.writers {
		want := w.acked.Load() + 3
		l.eventually(t, "the writers get on", func() bool { return w.acked.Load() >= want })
	}
}

func (l *load) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	(&cli{t: t}).eventually(what, is)
}

// halt ends the writers that no error has ended.
func (l *load) halt() {
	l.stop.Store(true)
	l.running.Wait()
}

// checkErrors checks that nothing but these errors ended a writer.
func (l *load) checkErrors(t *testing.T, allowed ...error) {
	t.Helper()
	for _, w := range l.writers {
		if w.err != nil && !isOneOf(w.err, allowed) {
			require.NoError(t, w.err, w.volume)
		}
	}
}

func isOneOf(err error, errs []error) bool {
	return slices.ContainsFunc(errs, func(e error) bool { return errors.Is(err, e) })
}

// check checks that everything that was acknowledged can be read on the mount,
// and that every header is whole and has the UUIDs that it has had all along.
func (l *load) check(t *testing.T) {
	t.Helper()
	for _, w := range l.writers {
		content, err := os.ReadFile(l.presented(w))
		require.NoError(t, err)
		stored, err := os.ReadFile(l.stored(w))
		require.NoError(t, err)
		w.check(t, content)
		require.Equal(t, presented(t, "dir:"+w.volume), uuidOf(t, l.presented(w)))
		require.Equal(t, uuidOf(t, "../vdi/testdata/vbox-7.2-dynamic.bin"), uuidOf(t, l.stored(w)))
		require.Equal(t, content[vdi.HeaderSize:], stored[vdi.HeaderSize:])
	}
}

// write writes and acknowledges until it is stopped, which is no error.
func (w *writer) write(file *os.File, stop *atomic.Bool) error {
	for i := int64(0); !stop.Load(); i++ {
		if _, err := file.WriteAt(w.record(i), recordStart+i*recordSize); err != nil {
			return err
		}
		if i%4 == 0 {
			if err := writeBackHeader(file, byte(i)); err != nil {
				return err
			}
		}
		if w.sync == 0 {
			if err := file.Sync(); err != nil {
				return err
			}
		}
		w.acked.Store(i + 1)
	}
	return nil
}

// writeBackHeader does what VirtualBox does when it closes an image: it writes
// what it has read, with another modification UUID.
func writeBackHeader(file *os.File, modification byte) error {
	header := make([]byte, vdi.HeaderSize)
	if _, err := file.ReadAt(header, 0); err != nil {
		return err
	}
	copy(header[modifyOffset:], bytes.Repeat([]byte{modification}, 16))
	_, err := file.WriteAt(header[72:472], 72)
	return err
}

// record is a record: random-looking, with a checksum.
func (w *writer) record(i int64) []byte {
	var record []byte
	for block := uint64(0); len(record) < recordSize; block++ {
		seed := []byte(w.volume)
		for _, n := range []uint64{w.salt, uint64(i), block} {
			seed = binary.LittleEndian.AppendUint64(seed, n)
		}
		sum := sha256.Sum256(seed)
		record = append(record, sum[:]...)
	}
	return record
}

func (w *writer) check(t *testing.T, content []byte) {
	t.Helper()
	for i := range w.acked.Load() {
		at := recordStart + i*recordSize
		require.GreaterOrEqual(t, int64(len(content)), at+recordSize, "record %d of %s was acknowledged", i, w.volume)
		require.Equal(t, w.record(i), content[at:at+recordSize], "record %d of %s was acknowledged", i, w.volume)
	}
	modification := content[modifyOffset : modifyOffset+16]
	require.Equal(t, bytes.Repeat(modification[:1], 16), modification, "the header of %s is whole", w.volume)
}

// endOfDaemon is what those get who use a mount whose daemon has been killed.
var endOfDaemon = []error{syscall.ENOTCONN, syscall.ECONNABORTED}
