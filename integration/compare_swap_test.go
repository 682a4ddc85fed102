package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

const (
	// swapTime is how long somebody tries to get out of the volume, and
	// leastSwaps how often.
	swapTime   = 500 * time.Millisecond
	leastSwaps = 2000

	// canary is what is in files and attributes outside, and is a name there:
	// nobody may see it.
	canary = "outside"
)

// Whoever can write to a volume can swap a directory for a symbolic link at any
// moment. What is done through the mount below that directory must then fail,
// or happen in the directory: never where the link leads, with the daemon's
// rights.
func TestNobodyGetsOutOfAVolumeBySwappingADirectoryForALink(t *testing.T) {
	for name, swapped := range map[string]string{
		"the directory that holds the files":    "vm/above/directory",
		"a directory above it":                  "vm/above",
		"the directory of the volume":           "vm",
		"the files themselves, for links to it": "vm/above/directory/file",
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			m := mount(t, fs.Options{}, "vm")
			require.NoError(t, os.Mkdir(filepath.Join(m.source, "vm/above"), 0o755))
			target := filepath.Join(outside, "target")
			require.NoError(t, os.Mkdir(target, 0o755))
			makeSwapGround(t, filepath.Join(m.source, "vm/above/directory"), "inside")
			for _, dir := range []string{target, target + "/directory", target + "/above/directory"} {
				makeSwapGround(t, dir, canary)
				require.NoError(t, os.WriteFile(filepath.Join(dir, canary), nil, 0o600))
			}
			before := fingerprint(t, outside)

			victim := filepath.Join(m.source, swapped)
			link := filepath.Join(m.source, "link")
			require.NoError(t, os.Symlink(filepath.Join(target, linkedFile(swapped)), link))
			a := &attack{dir: m.holdDirectory(t, "vm/above/directory")}
			a.playOnce(t)
			swaps := a.run(func() error {
				return unix.Renameat2(unix.AT_FDCWD, victim, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			})

			require.Equal(t, before, fingerprint(t, outside))
			require.Empty(t, a.leaks)
			t.Logf("%d swaps, %d calls succeeded, %d failed", swaps, a.succeeded.Load(), a.failed.Load())
			require.GreaterOrEqual(t, swaps, leastSwaps)
			if swapped != "vm" { // a volume that was gone is another one afterwards
				require.Positive(t, a.succeeded.Load())
			}
			require.Positive(t, a.failed.Load())
		})
	}
}

// linkedFile is what a link in the place of swapped must lead to below the
// target, so that every name that the attack uses is there.
func linkedFile(swapped string) string {
	if filepath.Base(swapped) == "file" {
		return "file"
	}
	return ""
}

// makeSwapGround makes the names that the attack uses, with this content.
func makeSwapGround(t *testing.T, dir, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir+"/sub", 0o755))
	for _, name := range []string{"file", "removed", "renamed", "other", "sub/file"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	require.NoError(t, os.Symlink(content, filepath.Join(dir, "text")))
	for _, name := range []string{".", "sub", "file"} {
		require.NoError(t, unix.Setxattr(filepath.Join(dir, name), "user.content", []byte(content), 0))
	}
}

// fingerprint tells everything about a tree that a change would change.
func fingerprint(t *testing.T, root string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		var s unix.Stat_t
		var content []byte
		if err == nil {
			err = unix.Lstat(path, &s)
		}
		if err == nil && entry.Type().IsRegular() {
			content, err = os.ReadFile(path)
		}
		attributes := make([]byte, 1000)
		n, _ := unix.Llistxattr(path, attributes) // a change of one changes the ctime too
		all = append(all, fmt.Sprintf("%s %o %d:%d links %d size %d mtime %v ctime %v %q %q", path, s.Mode, s.Uid, s.Gid,
			s.Nlink, s.Size, s.Mtim, s.Ctim, content, attributes[:max(n, 0)]))
		return err
	}))
	return all
}

// holdDirectory opens a directory of the mount without a name for the daemon to
// follow: the client's own kernel would follow a link by the name, with the
// client's rights, as it may.
func (m *mounted) holdDirectory(t *testing.T, name string) int {
	t.Helper()
	fd, err := unix.Open(filepath.Join(m.mountpoint, name), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// An attack does whatever it can below an open directory.
type attack struct {
	dir               int
	stop              atomic.Bool
	succeeded, failed atomic.Int64

	mu    sync.Mutex
	leaks []string
}

// playOnce shows that each call can succeed where nobody swaps anything: only
// then does it mean something that none reaches the outside.
func (a *attack) playOnce(t *testing.T) {
	t.Helper()
	for _, call := range swapCalls {
		require.NoError(t, call.do(a.dir), call.name)
	}
}

// run swaps for a while, and puts everything in its place in the end.
func (a *attack) run(swap func() error) (swaps int) {
	var workers sync.WaitGroup
	for _, call := range swapCalls {
		workers.Go(func() {
			for !a.stop.Load() {
				a.count(call.name, call.do(a.dir))
			}
		})
	}
	for end := time.Now().Add(swapTime); time.Now().Before(end) || swaps < leastSwaps; {
		if swap() == nil {
			swaps++
		}
	}
	a.stop.Store(true)
	workers.Wait()
	if swaps%2 == 1 && swap() == nil {
		swaps++
	}
	return swaps
}

func (a *attack) count(name string, err error) {
	switch {
	case err == nil:
		a.succeeded.Add(1)
	case errors.Is(err, errLeak):
		a.mu.Lock()
		defer a.mu.Unlock()
		a.leaks = append(a.leaks, name)
	default:
		a.failed.Add(1)
	}
}
