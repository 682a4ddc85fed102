package dir

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestManagerDestroysOnlyItsOwnClones(t *testing.T) {
	source, path := newSource(t)
	other := makeTemplate(t)
	mkdir(t, path, "golden")
	mkdir(t, path, "plain")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path+"/golden", link))
	manager, err := NewManager(source, link, copying)
	require.NoError(t, err)

	require.NoError(t, manager.Create(t.Context(), "job-1"))
	require.NoError(t, source.Clone(t.Context(), other, "other", copying))
	for _, name := range []string{"golden", "plain", "other"} {
		require.ErrorIs(t, manager.Destroy(t.Context(), name), syscall.EPERM, name)
	}
	require.ErrorIs(t, manager.Rename(t.Context(), "golden", "silver"), syscall.EBUSY)
	require.NoError(t, manager.Rename(t.Context(), "job-1", "job-2"))
	require.NoError(t, manager.Destroy(t.Context(), "job-2"))
	require.Equal(t, []string{"golden", "other", "plain"}, entries(t, path))

	_, err = NewManager(source, "silver", copying)
	require.ErrorIs(t, err, syscall.ENOENT)
}

func TestManagerOfRootBelievesNoUser(t *testing.T) {
	requireRoot(t)
	source, path := newSource(t)
	mkdir(t, path, "golden")
	mkdir(t, path, "forged")
	manager, err := NewManager(source, "golden", copying)
	require.NoError(t, err)
	require.NoError(t, unix.Setxattr(path+"/forged", ownMark, []byte(path+"/golden"), 0))
	require.ErrorIs(t, manager.Destroy(t.Context(), "forged"), syscall.EPERM)
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can do what this test is about; run the tests as root")
	}
}

// TestAUsersClones is played by a process of another user.
func TestAUsersClones(t *testing.T) {
	const stage = "CLONEFS_TEST_STAGE"
	if path := os.Getenv(stage); path != "" {
		playUser(t, path)
		return
	}
	requireRoot(t)
	path, err := os.MkdirTemp("", "clonefs-dir-")
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(path)) }()
	require.NoError(t, os.Chmod(path, 0o755))
	require.NoError(t, os.Rename(makeTemplate(t), path+"/golden"))
	require.NoError(t, os.Chmod(path+"/golden/directory", 0o755))
	for _, name := range []string{"disk.vdi", "capable", "empty", "directory/\xff\n", "read-only/file"} {
		require.NoError(t, os.Chmod(path+"/golden/"+name, 0o444))
	}
	require.NoError(t, os.Remove(path+"/golden/null"))
	mkdir(t, path, "source")
	require.NoError(t, os.Chown(path+"/source", 65534, 65534))

	user := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestAUsersClones$")
	user.Dir, user.Env = "/", append(os.Environ(), stage+"="+path)
	user.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := user.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS")
}

func playUser(t *testing.T, path string) {
	source, err := New(path+"/source", nil)
	require.NoError(t, err)
	manager, err := NewManager(source, path+"/golden", copying)
	require.NoError(t, err)
	require.NoError(t, manager.Create(t.Context(), "job-1"))

	var s unix.Stat_t
	require.NoError(t, unix.Stat(path+"/source/job-1/directory/file", &s))
	require.EqualValues(t, 65534, s.Uid, "what a user makes is the user's")
	require.EqualValues(t, 0o755, s.Mode&0o7777, "and lends nobody's rights")
	require.Equal(t, 1000, xattrSize(path+"/source/job-1/disk.vdi", "user.large"))
	require.NoError(t, manager.Rename(t.Context(), "job-1", "job-2"))
	require.NoError(t, manager.Destroy(t.Context(), "job-2"), "with directories that are read-only")
	require.Empty(t, entries(t, path+"/source"))

	require.NoError(t, os.Mkdir(path+"/source/unreadable", 0))
	require.ErrorIs(t, source.Destroy(t.Context(), "unreadable"), syscall.EACCES)
}

func xattrSize(path, name string) int {
	n, _ := unix.Getxattr(path, name, nil)
	return n
}
