package dir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newNotifiedSource returns a source whose Watch relies on inotify alone.
func newNotifiedSource(t *testing.T) (*Source, string) {
	t.Helper()
	source, path := newSource(t)
	source.timing.look = never
	return source, path
}

func TestWatchTellsAtOnceOf(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(path string) error
	}{
		{"the source that is removed", os.RemoveAll},
		{"the source that gets another name", func(path string) error { return os.Rename(path, path+".away") }},
		{"a directory that is made", func(path string) error { return os.Mkdir(path+"/new", 0o755) }},
		{"a directory that is removed", func(path string) error { return os.Remove(path + "/old") }},
		{"a directory that gets another name", func(path string) error { return os.Rename(path+"/old", path+"/new") }},
		{"a directory that is moved in", func(path string) error { return os.Rename(path+"/../outside", path+"/new") }},
		{"a directory that is moved out", func(path string) error { return os.Rename(path+"/old", path+"/../new") }},
		{"two directories that change places", func(path string) error {
			return unix.Renameat2(unix.AT_FDCWD, path+"/old", unix.AT_FDCWD, path+"/older", unix.RENAME_EXCHANGE)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			parent := t.TempDir()
			path := filepath.Join(parent, "source")
			for _, name := range []string{"source", "source/old", "source/older", "outside"} {
				mkdir(t, parent, name)
			}
			source, err := New(path, nil)
			require.NoError(t, err)
			source.timing.look = never
			w := watchSource(t, source)
			w.tellsOf(func() { require.NoError(t, test.change(path)) })
		})
	}
}

func TestWatchIgnoresWrites(t *testing.T) {
	source, path := newNotifiedSource(t)
	file, err := os.Create(filepath.Join(path, "disk.vdi"))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	w := watchSource(t, source)
	w.quiet()

	before := w.calls.Load()
	for range 100 {
		_, err := file.WriteString("a write to a file of the source's own volume")
		require.NoError(t, err)
	}
	w.quiet()
	require.Equal(t, before, w.calls.Load())
}

func TestWatchGathersEvents(t *testing.T) {
	source, path := newNotifiedSource(t)
	source.timing.settle = 20 * time.Millisecond
	w := watchSource(t, source)
	before, start := w.calls.Load(), time.Now()
	for i := range 500 {
		mkdir(t, path, "job-"+string(rune('a'+i%26))+time.Duration(i).String())
	}
	w.waitAfter(before)
	w.quiet()
	require.LessOrEqual(t, w.calls.Load()-before, int64(time.Since(start)/source.timing.settle)+1)
}

// endable makes the notifications of a source end with what is sent to the
// channel that it returns, one channel for each.
func endable(source *Source) <-chan chan<- error {
	opened := make(chan chan<- error, 2)
	source.notify = func(path string) (notifier, error) {
		n, err := openNotifier(path)
		end := make(chan error)
		n.ended = end
		opened <- end
		return n, err
	}
	return opened
}

func TestWatchRenewsANotificationThatEnds(t *testing.T) {
	source, path := newNotifiedSource(t)
	var log logRecorder
	source.logger = log.logger()
	opened := endable(source)
	w := watchSource(t, source)
	w.tellsOf(func() { <-opened <- nil })
	require.Len(t, opened, 1)
	w.tellsOf(func() { mkdir(t, path, "job-1") })
	require.Empty(t, log.all())
}

func TestWatchRenewsANotificationThatFails(t *testing.T) {
	source, path := newSource(t)
	source.timing.look = soon
	var log logRecorder
	source.logger = log.logger()
	opened := endable(source)
	w := watchSource(t, source)
	w.tellsOf(func() { <-opened <- errors.New("read inotify: input/output error") })
	require.Eventually(t, func() bool { return log.count("is watched again") == 1 }, limit, time.Millisecond)
	require.Len(t, opened, 1)
	w.tellsOf(func() { mkdir(t, path, "job-1") })
	require.Equal(t, 1, log.count("level=WARN"), "%q", log.all())
}

func TestWatchClosesWhatItOpened(t *testing.T) {
	before := descriptors(t)
	source, path := newSource(t)
	mkdir(t, path, "job-1")
	for range 10 {
		w := watchSource(t, source)
		require.Len(t, source.Volumes(), 2)
		w.stop()
	}
	// The first use of inotify opens the runtime's poller for good.
	require.LessOrEqual(t, descriptors(t), before+2)
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func TestWatchEndsWithTheContext(t *testing.T) {
	source, _ := newSource(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, source.Watch(ctx, func() {}))
}

// mountTmpfs mounts a file system for the length of a test.
func mountTmpfs(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system; run the tests as root")
	}
	require.NoError(t, unix.Mount("tmpfs", path, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() {
		err := unix.Unmount(path, unix.MNT_DETACH)
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // the test unmounted it itself
			require.NoError(t, err)
		}
	})
}

func TestWatchKeepsNothingBusy(t *testing.T) {
	source, path := newSource(t)
	mountTmpfs(t, path)
	mkdir(t, path, "job-1")
	mountTmpfs(t, filepath.Join(path, "job-1"))
	watchSource(t, source)
	require.Len(t, source.Volumes(), 2)
	_, ok := source.Volume("job-1")
	require.True(t, ok)

	require.NoError(t, unix.Unmount(filepath.Join(path, "job-1"), 0), "a volume's file system can be unmounted")
	require.NoError(t, unix.Unmount(path, 0), "the source's file system can be unmounted")
}

func TestWatchTellsAtOnceOfAnUnmount(t *testing.T) {
	source, path := newNotifiedSource(t)
	mountTmpfs(t, path)
	w := watchSource(t, source)
	w.tellsOf(func() { require.NoError(t, unix.Unmount(path, 0)) })
	w.tellsOf(func() { mkdir(t, path, "beneath") })
}

// TestWatchFollowsTheMounts covers the mount, which inotify does not report.
func TestWatchFollowsTheMounts(t *testing.T) {
	source, path := newSource(t)
	source.timing.look, source.timing.coarse = soon, 0
	mountTmpfs(t, path)
	w := watchSource(t, source)
	w.quiet()
	w.tellsOf(func() { require.NoError(t, unix.Unmount(path, 0)) })
	w.quiet()
	w.tellsOf(func() { mkdir(t, path, "beneath") })
	w.quiet()
	w.tellsOf(func() { mountTmpfs(t, path) })
	w.quiet()
	w.tellsOf(func() { mkdir(t, path, "above") })
	require.Equal(t, []string{"", "above"}, names(source.Volumes()))
}
