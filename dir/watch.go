package dir

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"
)

// timing says how patient Watch is.
type timing struct {
	// settle is how long events are gathered before changed is called, so
	// that a loop that makes clones costs one listing and not one each.
	settle time.Duration

	// look is the time between two looks at the source directory. They find
	// what inotify does not tell: a parent that was renamed, another file
	// system mounted or unmounted there, a change made on an NFS server.
	look time.Duration

	// coarse is how far apart two changes may be and still leave a
	// directory with one modification time (2 s on FAT).
	coarse time.Duration

	// maxPause bounds the growing pause between two tries to use inotify.
	maxPause time.Duration
}

var defaultTiming = timing{
	settle:   5 * time.Millisecond,
	look:     time.Second,
	coarse:   2 * time.Second,
	maxPause: time.Minute,
}

// notifyFunc starts to watch one directory, and nothing in it. It returns an
// error that is errors.ErrUnsupported where that cannot be done without
// keeping volumes busy.
type notifyFunc func(path string) (notifier, error)

// notifier tells what happens to one directory until it has ended or is
// closed. The zero notifier tells nothing.
type notifier struct {
	io.Closer

	// changes gives something after directories may have appeared in the
	// directory or gone away, or after it was renamed itself.
	changes <-chan struct{}

	// ended gives once why no more changes will be told: an error, or nil
	// where the directory was removed, its file system unmounted, or events
	// lost. That may have been a change, too.
	ended <-chan error
}

// Watch calls changed when directories appear in the source or go away, and
// when the source directory itself is removed, renamed or made again. Where
// the system cannot tell of changes, it looks once a second. It returns nil
// when ctx is done and never gives up before.
func (s *Source) Watch(ctx context.Context, changed func()) error {
	w := &watch{path: s.path, logger: s.logger, timing: s.timing, open: s.notify}
	defer w.stop()
	w.look(time.Now())
	changed()

	tick := time.NewTicker(s.timing.look)
	defer tick.Stop()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-settled:
			settled = nil
			w.look(now)
			changed()
		case now := <-tick.C:
			if w.look(now) {
				changed()
			}
		case <-w.notifier.changes:
			if settled == nil {
				settled = time.After(s.timing.settle)
			}
		case err := <-w.notifier.ended:
			w.ended(err)
			if settled == nil {
				settled = time.After(s.timing.settle)
			}
		}
	}
}

// watch is the state of one Watch call.
type watch struct {
	path   string
	logger *slog.Logger
	timing timing
	open   notifyFunc

	seen     os.FileInfo // the source directory at the last look, nil while there is none
	gone     bool        // the log says that there is none
	notifier notifier    // the zero one while there is no notification

	failed  bool          // the log says that notification failed
	pause   time.Duration // the last pause between two tries
	retryAt time.Time     // no try before
}

// look looks at the source directory, renews a notification that was lost,
// and says whether the set of volumes may have changed since the last look.
func (w *watch) look(now time.Time) bool {
	before := w.seen
	w.seen = w.lstat()
	if w.seen == nil {
		w.stop()
		return before != nil
	}
	moved := before == nil || !os.SameFile(before, w.seen)
	if moved || !w.watching() {
		// The directory was looked at before it is watched: when it is
		// replaced in between, the next look finds another one and
		// comes here again.
		w.stop()
		w.start(now)
	}
	return moved || !before.ModTime().Equal(w.seen.ModTime()) ||
		now.Sub(w.seen.ModTime()).Abs() < w.timing.coarse
}

// lstat returns what is known of the source directory, or nil when there is
// none, and logs when that changes.
func (w *watch) lstat() os.FileInfo {
	info, err := os.Lstat(w.path)
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "lstat", Path: w.path, Err: syscall.ENOTDIR}
	}
	switch {
	case err != nil && !w.gone:
		w.gone = true
		w.logger.Warn("the source directory is gone; its volumes are back when it is", "source", w.path, "error", err)
	case err == nil && w.gone:
		w.gone = false
		w.logger.Info("the source directory is back", "source", w.path)
	}
	if err != nil {
		return nil
	}
	return info
}

func (w *watch) watching() bool { return w.notifier.Closer != nil }

func (w *watch) start(now time.Time) {
	if now.Before(w.retryAt) {
		return
	}
	opened, err := w.open(w.path)
	if err != nil {
		w.fail(now, err)
		return
	}
	w.notifier = opened
	if w.failed {
		w.logger.Info("the source directory is watched again", "source", w.path)
	}
	w.failed, w.pause, w.retryAt = false, 0, time.Time{}
}

func (w *watch) stop() {
	if !w.watching() {
		return
	}
	if err := w.notifier.Close(); err != nil {
		w.logger.Debug("stop watching the source directory", "source", w.path, "error", err)
	}
	w.notifier = notifier{}
}

// ended deals with a notification that has ended. The next look renews it, at
// once where nothing failed.
func (w *watch) ended(err error) {
	w.stop()
	if err != nil {
		w.fail(time.Now(), err)
	}
}

// fail logs once that there is no notification, and puts off the next try.
func (w *watch) fail(now time.Time, err error) {
	w.pause = min(max(2*w.pause, w.timing.look), w.timing.maxPause)
	w.retryAt = now.Add(w.pause)
	if w.failed || errors.Is(err, errors.ErrUnsupported) {
		return
	}
	w.failed = true
	w.logger.Warn("cannot watch the source directory; looking at it once a second instead"+remedy(err),
		"source", w.path, "error", err)
}

// remedy names the limit to raise for the errors that inotify(7) gives when
// one is reached.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return " (raise the sysctl fs.inotify.max_user_watches)"
	case errors.Is(err, syscall.EMFILE):
		return " (raise the sysctl fs.inotify.max_user_instances)"
	}
	return ""
}
