//go:build linux

package integration

import (
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

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/records"
	"github.com/clonefs/clonefs/vdi"
)

const (
	crashWriters = 16
	recordStart  = records.Start
	modifyOffset = records.ModifyOffset
)

var writeBackHeader = records.WriteBackHeader

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
	records.Writer
	volume string
	image  string
	acked  atomic.Int64
	err    error // valid when the load has ended
}

// newLoad mounts a source with an image for each writer.
func newLoad(t *testing.T) *load {
	t.Helper()
	requireRoot(t)
	l := &load{source: t.TempDir()}
	for i := range crashWriters {
		l.add(t, fmt.Sprintf("job-%d", i), "disk.vdi")
	}
	l.mount = daemon.Start(t, l.source, t.TempDir())
	return l
}

// add adds a writer and makes its image.
func (l *load) add(t *testing.T, volume, image string) {
	t.Helper()
	w := &writer{volume: volume, image: image}
	w.Name, w.Sync = volume+"/"+image, records.SyncFlags[len(l.writers)%len(records.SyncFlags)]
	require.NoError(t, os.MkdirAll(filepath.Join(l.source, volume), 0o755))
	require.NoError(t, os.WriteFile(l.stored(w), realHeader(t), 0o600))
	l.writers = append(l.writers, w)
}

func (l *load) stored(w *writer) string    { return filepath.Join(l.source, w.volume, w.image) }
func (l *load) presented(w *writer) string { return filepath.Join(l.mount.Dir, w.volume, w.image) }

// start lets the writers write, from the first record on and with other records
// than the last time. They write until halt is called or an error ends them.
func (l *load) start(t *testing.T) {
	t.Helper()
	l.stop.Store(false)
	for _, w := range l.writers {
		file, err := os.OpenFile(l.presented(w), os.O_RDWR|w.Sync, 0)
		require.NoError(t, err)
		w.Salt++
		w.acked.Store(0)
		l.running.Go(func() {
			w.err = w.Write(file, func(records int64) bool {
				w.acked.Store(records)
				return !l.stop.Load()
			})
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
		require.GreaterOrEqual(t, w.Intact(content), w.acked.Load(), "records of %s that were acknowledged", w.Name)
		_, whole := records.Modification(content)
		require.True(t, whole, "the header of %s is whole", w.Name)
		require.Equal(t, presented(t, "dir:"+w.volume), uuidOf(t, l.presented(w)))
		require.Equal(t, uuidOf(t, "../vdi/testdata/vbox-7.2-dynamic.bin"), uuidOf(t, l.stored(w)))
		require.Equal(t, content[vdi.HeaderSize:], stored[vdi.HeaderSize:])
	}
}

// endOfDaemon is what those get who use a mount whose daemon has been killed.
var endOfDaemon = []error{syscall.ENOTCONN, syscall.ECONNABORTED}
