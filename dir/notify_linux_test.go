package dir

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openQueue returns the queue of the events of a directory, which nobody reads.
func openQueue(t *testing.T, path string) *os.File {
	t.Helper()
	queue, err := openInotify(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = queue.Close() })
	return queue
}

// queued returns how many bytes of events there are to read. An event is there
// when the system call that caused it returns.
func queued(t *testing.T, queue *os.File) int {
	t.Helper()
	size, err := unix.IoctlGetInt(fd(queue), unix.TIOCINQ) // FIONREAD by its other name
	require.NoError(t, err)
	return size
}

func TestInotifyWakesNobodyFor(t *testing.T) {
	for name, use := range map[string]func(file *os.File) error{
		"a write": func(file *os.File) error {
			_, err := file.WriteAt([]byte("what a guest writes"), 512)
			return err
		},
		"a read": func(file *os.File) error {
			_, err := file.ReadAt(make([]byte, 1), 0)
			return err
		},
		"a truncation":      func(file *os.File) error { return file.Truncate(1) },
		"a change of mode":  func(file *os.File) error { return file.Chmod(0o600) },
		"a change of times": func(file *os.File) error { return os.Chtimes(file.Name(), time.Now(), time.Now()) },
		"an open and a close": func(file *os.File) error {
			again, err := os.OpenFile(file.Name(), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			return again.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			file, err := os.Create(filepath.Join(path, "disk.vdi"))
			require.NoError(t, err)
			t.Cleanup(func() { _ = file.Close() })
			_, err = file.WriteString("an image in the source directory itself")
			require.NoError(t, err)
			queue := openQueue(t, path)

			require.NoError(t, use(file))
			require.Zero(t, queued(t, queue))
			mkdir(t, path, "job-1")
			require.NotZero(t, queued(t, queue), "the events are counted")
		})
	}
}

func TestNotifierEndsWhenItsDirectoryIs(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, path string){
		"removed":   removeAll,
		"unmounted": func(t *testing.T, path string) { require.NoError(t, unix.Unmount(path, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "source")
			require.NoError(t, os.Mkdir(path, 0o755))
			if name == "unmounted" {
				mountTmpfs(t, path)
			}
			n, err := openNotifier(path)
			require.NoError(t, err)
			t.Cleanup(func() { _ = n.Close() })
			end(t, path)
			requireEnd(t, n)
		})
	}
}

// requireEnd waits until a notifier tells that it has ended without a failure.
func requireEnd(t *testing.T, n notifier) {
	t.Helper()
	select {
	case err := <-n.ended:
		require.NoError(t, err)
	case <-time.After(limit):
		require.Fail(t, "the notifier tells of no end")
	}
}

// TestNotifierEndsWhenEventsAreLost loses the event that says that the watch
// has ended.
func TestNotifierEndsWhenEventsAreLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "source")
	require.NoError(t, os.Mkdir(path, 0o755))
	queue := openQueue(t, path)
	overflow(t, path)
	full := queued(t, queue)
	removeAll(t, path)
	require.Equal(t, full, queued(t, queue), "the queue is full")
	requireEnd(t, readInotify(queue))
}

// overflow makes more events in the directory at path than a queue has room
// for: two directories that change names are two each time.
func overflow(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	require.NoError(t, err)
	room, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)

	mkdir(t, path, "a")
	from, to := filepath.Join(path, "a"), filepath.Join(path, "b")
	for range room/2 + 1 {
		require.NoError(t, os.Rename(from, to))
		from, to = to, from
	}
}

// TestEndsWatchReadsOverNames reads names that would be an end if they were
// taken for events.
func TestEndsWatchReadsOverNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "source")
	require.NoError(t, os.Mkdir(path, 0o755))
	queue := openQueue(t, path)
	mkdir(t, path, strings.Repeat("ÿ", 8))
	require.False(t, endsWatch(readQueue(t, queue)))
	mkdir(t, path, "job-1")
	removeAll(t, path)
	require.True(t, endsWatch(readQueue(t, queue)), "the end comes last")
}

func readQueue(t *testing.T, queue *os.File) []byte {
	t.Helper()
	events := make([]byte, queued(t, queue))
	n, err := queue.Read(events)
	require.NoError(t, err)
	return events[:n]
}

func TestInotifyRefuses(t *testing.T) {
	path := t.TempDir()
	mkdir(t, path, "directory")
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	require.NoError(t, os.Symlink("directory", filepath.Join(path, "link")))
	for name, want := range map[string]error{
		"absent": unix.ENOENT,
		"file":   unix.ENOTDIR,
		"link":   unix.ENOTDIR,
	} {
		t.Run(name, func(t *testing.T) {
			before := descriptors(t)
			_, err := openNotifier(filepath.Join(path, name))
			require.ErrorIs(t, err, want)
			require.Equal(t, before, descriptors(t))
		})
	}
}
