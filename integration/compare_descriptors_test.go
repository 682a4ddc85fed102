package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// uses are what leaves a volume unused when it is over.
var uses = []struct {
	name string
	use  func(t *testing.T, dir string)
}{
	{"stat", func(t *testing.T, dir string) {
		_, err := os.Stat(dir + "/file")
		require.NoError(t, err)
		_, err = os.Stat(dir + "/missing")
		require.ErrorIs(t, err, os.ErrNotExist)
	}},
	{"listing", func(t *testing.T, dir string) {
		_, err := os.ReadDir(dir + "/directory")
		require.NoError(t, err)
	}},
	{"reading", func(t *testing.T, dir string) {
		_, err := os.ReadFile(dir + "/file")
		require.NoError(t, err)
	}},
	{"writing", func(t *testing.T, dir string) {
		require.NoError(t, os.WriteFile(dir+"/file", []byte("new"), 0o600))
		require.NoError(t, os.Truncate(dir+"/file", 1))
	}},
	{"making and removing", func(t *testing.T, dir string) {
		require.NoError(t, os.WriteFile(dir+"/new", nil, 0o600))
		require.NoError(t, os.Mkdir(dir+"/new directory", 0o700))
		require.NoError(t, os.Symlink("new", dir+"/link"))
		require.NoError(t, os.Link(dir+"/new", dir+"/second name"))
		require.NoError(t, os.Rename(dir+"/new", dir+"/file"))
		for _, name := range []string{"/file", "/second name", "/link", "/new directory"} {
			require.NoError(t, os.Remove(dir+name))
		}
	}},
	{"removing what is open", func(t *testing.T, dir string) {
		f, err := os.Open(dir + "/file")
		require.NoError(t, err)
		require.NoError(t, os.Remove(dir+"/file"))
		require.NoError(t, f.Close())
	}},
	{"removing what is open by two names, one after the other", func(t *testing.T, dir string) {
		f, err := os.Open(dir + "/file")
		require.NoError(t, err)
		require.NoError(t, os.Remove(dir+"/file"))
		require.NoError(t, os.Remove(dir+"/directory/second name of file"))
		require.NoError(t, f.Close())
	}},
	{"attributes", func(t *testing.T, dir string) {
		require.NoError(t, os.Chmod(dir+"/file", 0o640))
		require.NoError(t, os.Chtimes(dir+"/file", time.Now(), time.Now()))
		_, err := unix.Getxattr(dir+"/file", "user.x", nil)
		require.ErrorIs(t, err, unix.ENODATA)
		require.NoError(t, unix.Statfs(dir, &unix.Statfs_t{}))
	}},
	{"failing", func(t *testing.T, dir string) {
		require.Error(t, os.Mkdir(dir+"/directory", 0o755))
		require.Error(t, os.Remove(dir+"/missing"))
		require.Error(t, os.Rename(dir+"/file", dir+"/directory"))
		_, err := os.OpenFile(dir+"/file", os.O_CREATE|os.O_EXCL, 0o600)
		require.Error(t, err)
	}},
}

func TestNoDescriptorIsKeptOnAnUnusedVolume(t *testing.T) {
	for _, test := range uses {
		t.Run("after "+test.name, func(t *testing.T) {
			m := mount(t, fs.Options{}, "vm")
			fillVolume(t, filepath.Join(m.source, "vm"))
			test.use(t, filepath.Join(m.mountpoint, "vm"))
			eventually(t, func() string { return strings.Join(m.descriptors(t), " ") })
		})
	}
}

func TestAFileSystemBehindTheMountCanBeUnmountedWhenItIsUnused(t *testing.T) {
	for _, test := range uses {
		t.Run("after "+test.name, func(t *testing.T) {
			m, behind := mountOverSmall(t)
			test.use(t, filepath.Join(m.mountpoint, "vm"))
			m.becomesFree(t, behind)
			require.NoFileExists(t, filepath.Join(m.mountpoint, "vm/file"), "what was unmounted is not shown")
			require.NoFileExists(t, filepath.Join(m.mountpoint, "vm/directory"))
		})
	}
}

func TestAFileSystemBehindTheMountIsBusyWhileAFileIsOpen(t *testing.T) {
	m, behind := mountOverSmall(t)
	f, err := os.Open(filepath.Join(m.mountpoint, "vm/file"))
	require.NoError(t, err)
	defer f.Close()
	eventually(t, func() string { // the source's directory may just be listed
		if open := m.descriptors(t); len(open) != 1 {
			return strings.Join(open, " ")
		}
		return ""
	})
	require.ErrorIs(t, unix.Unmount(behind, 0), unix.EBUSY)
	require.NoError(t, f.Close())
	m.becomesFree(t, behind)
}

// A directory that is only being listed is nothing that a volume has open.
func TestAFileSystemBehindTheMountIsFreeWhileADirectoryIsListed(t *testing.T) {
	m, behind := mountOverSmall(t)
	d, err := os.Open(filepath.Join(m.mountpoint, "vm/directory"))
	require.NoError(t, err)
	defer d.Close()
	_, err = d.Readdirnames(1)
	require.NoError(t, err)
	m.becomesFree(t, behind)
}

// mountOverSmall mounts over a volume that is a file system of its own.
func mountOverSmall(t *testing.T) (m *mounted, behind string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system takes root")
	}
	m = &mounted{source: t.TempDir(), mountpoint: t.TempDir()}
	behind = filepath.Join(m.source, "vm")
	require.NoError(t, os.Mkdir(behind, 0o755))
	require.NoError(t, unix.Mount("none", behind, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { _ = unix.Unmount(behind, unix.MNT_DETACH) }) // most tests have done it
	fillVolume(t, behind)
	m.start(t, fs.Options{})
	return m, behind
}

func fillVolume(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.WriteFile(dir+"/file", realHeader(t), 0o600))
	require.NoError(t, os.Mkdir(dir+"/directory", 0o755))
	require.NoError(t, os.WriteFile(dir+"/directory/inside", nil, 0o600))
	require.NoError(t, os.Link(dir+"/file", dir+"/directory/second name of file"))
}

// descriptors are those that this process, which serves the mount, has below
// the source.
func (m *mounted) descriptors(t *testing.T) (open []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range entries {
		path, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(path, m.source) {
			open = append(open, path)
		}
	}
	return open
}

// becomesFree waits until a file system behind the mount can be unmounted.
func (m *mounted) becomesFree(t *testing.T, behind string) {
	t.Helper()
	eventually(t, func() string {
		if err := unix.Unmount(behind, 0); err != nil {
			return fmt.Sprintf("unmount: %v; the daemon has %q", err, m.descriptors(t))
		}
		return ""
	})
}

// eventually waits until there is no problem any more: the kernel tells the
// daemon of the last close of a file, and that it has forgotten an inode, after
// close(2) has returned.
func eventually(t *testing.T, problem func() string) {
	t.Helper()
	said := ""
	for range 100 {
		if said = problem(); said == "" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Fail(t, "this is still so after a second", said)
}
