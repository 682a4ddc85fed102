package fs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Both ways of resolving a path must refuse the same.
func TestNothingLeadsOutOfARoot(t *testing.T) {
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600))
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "a/b"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "a/b/file"), nil, 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(root, "a/absolute")))
	require.NoError(t, os.Symlink("../..", filepath.Join(root, "a/up")))
	require.NoError(t, os.Symlink("b/file", filepath.Join(root, "a/within")))
	fd, err := unix.Open(root, openPath|unix.O_DIRECTORY, 0)
	require.NoError(t, err)
	defer unix.Close(fd)

	ways := map[string]func(int, string, int) (int, error){"in one call": openBeneath, "step by step": openStepwise}
	for way, open := range ways {
		for _, v := range []struct {
			path string
			ok   bool
		}{
			{"a/b/file", true},
			{"a", true},
			{"a/absolute/secret", false},
			{"a/up/x", false},
			{"a/within", false},
			{"..", false},
			{"a/../..", false},
			{"/etc/passwd", false},
			{"a/missing", false},
		} {
			t.Run(way+" "+v.path, func(t *testing.T) {
				file, err := open(fd, v.path, unix.O_RDONLY)
				if v.ok {
					require.NoError(t, err)
					unix.Close(file)
					return
				}
				require.Error(t, err)
			})
		}
	}
}

func TestAPathMayBeLongerThanPathMax(t *testing.T) {
	root, err := unix.Open(t.TempDir(), openPath|unix.O_DIRECTORY, 0)
	require.NoError(t, err)
	defer unix.Close(root)
	name := strings.Repeat("d", 200)
	dir, err := unix.Dup(root)
	require.NoError(t, err)
	names := []string{}
	for range 50 {
		require.NoError(t, unix.Mkdirat(dir, name, 0o755))
		next, err := unix.Openat(dir, name, openPath|unix.O_DIRECTORY, 0)
		require.NoError(t, err)
		unix.Close(dir)
		dir, names = next, append(names, name)
	}
	want, err := statAt(dir, "")
	require.NoError(t, err)
	unix.Close(dir)

	fd, err := openBeneath(root, strings.Join(names, "/"), openPath)
	require.NoError(t, err)
	defer unix.Close(fd)
	got, err := statAt(fd, "")
	require.NoError(t, err)
	require.Equal(t, want.id, got.id)
	_, err = openBeneath(root, strings.Repeat("x", 5000), openPath)
	require.ErrorIs(t, err, unix.ENAMETOOLONG)
}
