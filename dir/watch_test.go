package dir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	never = time.Hour
	soon  = 10 * time.Millisecond
	limit = 10 * time.Second // how long a test waits for what must happen
)

// logRecorder keeps what is logged, each record as text.
type logRecorder struct {
	mu      sync.Mutex
	records []string
}

func (l *logRecorder) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logRecorder) Write(record []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, string(record))
	return len(record), nil
}

func (l *logRecorder) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.records...)
}

func (l *logRecorder) count(text string) (n int) {
	for _, record := range l.all() {
		if strings.Contains(record, text) {
			n++
		}
	}
	return n
}

// watcher runs Watch for the length of a test.
type watcher struct {
	t     *testing.T
	calls atomic.Int64
	stop  func()
}

// watchSource starts to watch and returns when the first call of changed,
// which says that the watch is set, has come.
func watchSource(t *testing.T, source *Source) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	w := &watcher{t: t}
	w.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	go func() { ended <- source.Watch(ctx, func() { w.calls.Add(1) }) }()
	t.Cleanup(w.stop)
	w.waitAfter(0)
	return w
}

// waitAfter waits for a call of changed after the first n.
func (w *watcher) waitAfter(n int64) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.calls.Load() > n }, limit, time.Millisecond)
}

// tellsOf requires that change brings about a call of changed.
func (w *watcher) tellsOf(change func()) {
	w.t.Helper()
	before := w.calls.Load()
	change()
	w.waitAfter(before)
}

// quiet waits until no more calls come.
func (w *watcher) quiet() {
	w.t.Helper()
	last := int64(-1)
	require.Eventually(w.t, func() bool {
		was := last
		last = w.calls.Load()
		return was == last
	}, limit, 20*defaultTiming.settle)
}

func TestWatchRecoversWithTheSource(t *testing.T) {
	for name, test := range map[string]struct {
		notify notifyFunc
		lost   func(t *testing.T, path string)
	}{
		"removed, with notification":    {openNotifier, removeAll},
		"renamed, with notification":    {openNotifier, renameAway},
		"parent renamed":                {openNotifier, renameParentAway},
		"removed, looking now and then": {noNotifier(errNoNotification), removeAll},
		"renamed, looking now and then": {noNotifier(errNoNotification), renameAway},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "parent", "source")
			require.NoError(t, os.MkdirAll(path, 0o755))
			source, err := New(path, nil)
			require.NoError(t, err)
			var log logRecorder
			source.logger, source.notify = log.logger(), test.notify
			source.timing.look, source.timing.coarse = soon, 0
			w := watchSource(t, source)

			w.tellsOf(func() { test.lost(t, path) })
			require.Eventually(t, func() bool { return log.count("is gone") == 1 }, limit, time.Millisecond)
			w.quiet()
			w.tellsOf(func() { require.NoError(t, os.MkdirAll(path, 0o755)) })
			require.Eventually(t, func() bool { return log.count("is back") == 1 }, limit, time.Millisecond)
			w.quiet()
			w.tellsOf(func() { mkdir(t, path, "job-1") })

			w.stop()
			require.Equal(t, 1, log.count("is gone"), "%q", log.all())
			require.Equal(t, 1, log.count("level=WARN"), "%q", log.all())
		})
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(path))
}

func renameAway(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.Rename(path, path+".away"))
}

func renameParentAway(t *testing.T, path string) {
	t.Helper()
	renameAway(t, filepath.Dir(path))
}

// errNoNotification is what openNotifier gives where there is no inotify.
var errNoNotification = fmt.Errorf("no notification here: %w", errors.ErrUnsupported)

func noNotifier(err error) notifyFunc {
	return func(string) (notifier, error) { return notifier{}, err }
}

func TestWatchLooksWhereThereIsNoNotification(t *testing.T) {
	for name, test := range map[string]struct {
		err      error
		warnings int
		advice   string
	}{
		"too many watches":              {syscall.ENOSPC, 1, "fs.inotify.max_user_watches"},
		"too many instances":            {syscall.EMFILE, 1, "fs.inotify.max_user_instances"},
		"a system without notification": {errNoNotification, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			source, path := newSource(t)
			var log logRecorder
			source.logger, source.notify = log.logger(), noNotifier(test.err)
			source.timing.look, source.timing.maxPause, source.timing.coarse = soon, 2*soon, 0
			w := watchSource(t, source)
			w.quiet()

			w.tellsOf(func() { mkdir(t, path, "job-1") })
			w.quiet()
			w.tellsOf(func() { require.NoError(t, os.Remove(filepath.Join(path, "job-1"))) })
			w.stop()
			require.Equal(t, test.warnings, log.count("level=WARN"), "%q", log.all())
			require.Equal(t, test.warnings, log.count(test.advice), "%q", log.all())
		})
	}
}

func TestWatchTriesAgainWithAGrowingPause(t *testing.T) {
	source, _ := newSource(t)
	var log logRecorder
	w := watch{path: source.path, logger: log.logger(), timing: defaultTiming, open: noNotifier(syscall.ENOSPC)}
	now := time.Now()
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		w.look(now)
		require.Equal(t, now.Add(pause*time.Second), w.retryAt)
		w.look(now.Add(pause*time.Second - 1))
		require.Equal(t, now.Add(pause*time.Second), w.retryAt, "tried too early")
		now = w.retryAt
	}
	require.Equal(t, 1, log.count("level=WARN"))
}

// TestWatchSeesTwoChangesOfOneInstant makes a change that leaves no trace in
// the modification time, as file systems with coarse clocks do.
func TestWatchSeesTwoChangesOfOneInstant(t *testing.T) {
	source, path := newSource(t)
	w := watch{path: path, logger: source.logger, timing: defaultTiming, open: noNotifier(errNoNotification)}
	w.look(time.Now())
	changed := w.seen.ModTime()
	mkdir(t, path, "job-1")
	require.NoError(t, os.Chtimes(path, time.Time{}, changed))

	require.True(t, w.look(changed.Add(time.Second)), "too early to rely on the time")
	require.False(t, w.look(changed.Add(3*time.Second)))
}
