//go:build linux

package container

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newCgroup makes a cgroup of version 2 and removes it with the test, which fails
// if anything still runs in it then. A machine that uses version 1 has the other
// hierarchy as well, mounted or not; see cgroups(7).
func newCgroup(t testing.TB) *os.File {
	t.Helper()
	// Not t.TempDir: what is left mounted must not be removed recursively.
	hierarchy, err := os.MkdirTemp("", "cgroup")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(hierarchy)) })
	require.NoError(t, unix.Mount("cgroup2", hierarchy, "cgroup2", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(hierarchy, 0)) })
	dir, err := os.MkdirTemp(hierarchy, "clonefs-test-")
	require.NoError(t, err)
	t.Cleanup(func() { removeCgroup(t, dir) })
	group, err := os.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { group.Close() })
	return group
}

// removeCgroup removes a cgroup and those below it. The kernel says EBUSY for a
// moment after the last process has ended.
func removeCgroup(t testing.TB, dir string) {
	var groups []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return err
	}))
	for _, group := range slices.Backward(groups) {
		require.Eventually(t, func() bool { return unix.Rmdir(group) == nil }, Patience, 10*time.Millisecond, "%s is in use", group)
	}
}
