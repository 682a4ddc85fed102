package integration

import (
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

// swapTime is how long somebody tries to get out of the volume.
const swapTime = 500 * time.Millisecond

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
			for _, dir := range []string{filepath.Join(m.source, "vm/above/directory"), target, target + "/directory", target + "/above/directory"} {
				makeSwapGround(t, dir)
			}
			before := fingerprint(t, outside)

			victim := filepath.Join(m.source, swapped)
			link := filepath.Join(m.source, "link")
			require.NoError(t, os.Symlink(filepath.Join(target, linkedFile(swapped)), link))
			a := &attack{dir: m.holdDirectory(t, "vm/above/directory")}
			swaps := a.run(func() error {
				return unix.Renameat2(unix.AT_FDCWD, victim, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			})

			require.Equal(t, before, fingerprint(t, outside))
			t.Logf("%d swaps, %d calls succeeded, %d failed", swaps, a.succeeded.Load(), a.failed.Load())
			require.Greater(t, swaps, 100)
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

// makeSwapGround makes the names that the attack uses.
func makeSwapGround(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir+"/sub", 0o755))
	for _, name := range []string{"file", "removed", "renamed", "sub/file"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("untouched"), 0o644))
	}
}

// fingerprint tells everything about a tree that a change would change.
func fingerprint(t *testing.T, root string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		var s unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &s)
		}
		all = append(all, fmt.Sprintf("%s %o %d:%d links %d size %d mtime %v ctime %v", path, s.Mode, s.Uid, s.Gid, s.Nlink, s.Size, s.Mtim, s.Ctim))
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

// An attack changes whatever it can below an open directory.
type attack struct {
	dir               int
	stop              atomic.Bool
	succeeded, failed atomic.Int64
}

// run swaps for a while, and puts everything in its place in the end.
func (a *attack) run(swap func() error) (swaps int) {
	var workers sync.WaitGroup
	for _, call := range swapCalls {
		workers.Go(func() {
			for !a.stop.Load() {
				a.count(call(a.dir))
			}
		})
	}
	for end := time.Now().Add(swapTime); time.Now().Before(end); {
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

func (a *attack) count(err error) {
	if err == nil {
		a.succeeded.Add(1)
	} else {
		a.failed.Add(1)
	}
}

// swapCalls follow no symbolic link themselves.
var swapCalls = []func(dir int) error{
	func(dir int) error {
		fd, err := unix.Openat(dir, "new", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	},
	func(dir int) error { return unix.Unlinkat(dir, "new", 0) },
	func(dir int) error {
		fd, err := unix.Openat(dir, "file", unix.O_WRONLY|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.Write(fd, []byte("overwritten"))
		return err
	},
	func(dir int) error { return unix.Unlinkat(dir, "removed", 0) },
	func(dir int) error { return unix.Renameat2(dir, "renamed", dir, "moved", 0) },
	func(dir int) error { return unix.Renameat2(dir, "moved", dir, "renamed", 0) },
	func(dir int) error { return unix.Mkdirat(dir, "made", 0o700) },
	func(dir int) error { return unix.Unlinkat(dir, "made", unix.AT_REMOVEDIR) },
	func(dir int) error { return unix.Symlinkat("x", dir, "symlink") },
	func(dir int) error { return unix.Unlinkat(dir, "symlink", 0) },
	func(dir int) error { return unix.Linkat(dir, "sub/file", dir, "linked", 0) },
	func(dir int) error { return unix.Unlinkat(dir, "linked", 0) },
	func(dir int) error { return unix.Fchownat(dir, "file", nobody, nobody, unix.AT_SYMLINK_NOFOLLOW) },
	func(dir int) error { return unix.Fchownat(dir, "", nobody, nobody, unix.AT_EMPTY_PATH) },
	func(dir int) error {
		return unix.UtimesNanoAt(dir, "sub/file", []unix.Timespec{{Sec: 1}, {Sec: 1}}, unix.AT_SYMLINK_NOFOLLOW)
	},
	changeHeld("sub"),
	changeHeld("file"),
}

// changeHeld changes mode, size and attributes of what a name is, held by a
// descriptor of its path: chmod(2) and the like would follow a link.
func changeHeld(name string) func(dir int) error {
	return func(dir int) error {
		fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		var s unix.Stat_t
		if err := unix.Fstat(fd, &s); err != nil || s.Mode&unix.S_IFMT == unix.S_IFLNK {
			return unix.ELOOP
		}
		_ = unix.Truncate(procPath(fd), 3)
		_ = unix.Setxattr(procPath(fd), "user.x", []byte("x"), 0)
		return unix.Chmod(procPath(fd), 0o700)
	}
}
