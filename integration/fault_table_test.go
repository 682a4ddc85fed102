//go:build linux

package integration

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/faulty"
	"github.com/clonefs/clonefs/vdi"
)

// A faultyCall is what a client does while one kind of call fails below the mount.
// It is given a name that is new each time, which prepare has made where the
// call wants something to be there.
type faultyCall struct {
	name    string
	fails   faulty.Op
	prepare func(t *testing.T, path string)
	do      func(m *faultyMount, name string) error
}

var faultyCalls = []faultyCall{
	{"looking a file up", faulty.Lookup, someFile, func(m *faultyMount, name string) error {
		return unix.Access(m.path(name), unix.F_OK)
	}},
	{"opening a file", faulty.Open, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(*os.File) error { return nil })
	}},
	{"opening a file whose inode cannot be told", faulty.GetAttr, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(*os.File) error { return nil })
	}},
	{"asking for attributes", faulty.GetAttr, someFile, func(m *faultyMount, name string) error {
		var s unix.Statx_t
		return unix.Statx(unix.AT_FDCWD, m.path(name), unix.AT_STATX_FORCE_SYNC, unix.STATX_ALL, &s)
	}},
	{"reading a header", faulty.Read, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDONLY, func(f *os.File) error { _, err := f.ReadAt(make([]byte, 512), 0); return err })
	}},
	{"reading beyond the header", faulty.Read, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDONLY, func(f *os.File) error { _, err := f.ReadAt(make([]byte, 512), 8192); return err })
	}},
	{"writing a header", faulty.Write, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(f *os.File) error { return writeBackHeader(f, 7) })
	}},
	{"writing a header that cannot be read", faulty.Read, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_WRONLY, func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 0); return err })
	}},
	{"writing beyond the header", faulty.Write, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 8192); return err })
	}},
	{"copying within the mount", faulty.Write, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(f *os.File) error {
			in, out := int64(8192), int64(16384)
			_, err := unix.CopyFileRange(int(f.Fd()), &in, int(f.Fd()), &out, 4096, 0)
			return err
		})
	}},
	{"fsync", faulty.Fsync, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(f *os.File) error { return f.Sync() })
	}},
	{"closing a file", faulty.Flush, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(*os.File) error { return nil })
	}},
	{"truncating by path", faulty.Truncate, someFile, func(m *faultyMount, name string) error {
		return os.Truncate(m.path(name), 8192)
	}},
	{"truncating an open file", faulty.Truncate, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(f *os.File) error { return f.Truncate(8192) })
	}},
	{"allocating", faulty.Fallocate, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(f *os.File) error { return unix.Fallocate(int(f.Fd()), 0, 0, 1<<20) })
	}},
	{"looking for a hole", faulty.Lseek, someFile, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR, func(f *os.File) error { _, err := f.Seek(0, unix.SEEK_HOLE); return err })
	}},
	{"chmod", faulty.SetAttr, someFile, func(m *faultyMount, name string) error {
		return os.Chmod(m.path(name), 0o640)
	}},
	{"chown", faulty.SetAttr, someFile, func(m *faultyMount, name string) error {
		return os.Chown(m.path(name), 0, 0)
	}},
	{"setting times", faulty.SetAttr, someFile, func(m *faultyMount, name string) error {
		return unix.UtimesNano(m.path(name), make([]unix.Timespec, 2))
	}},
	{"reading an attribute", faulty.GetXAttr, someFile, func(m *faultyMount, name string) error {
		_, err := unix.Getxattr(m.path(name), "user.x", make([]byte, 9))
		return err
	}},
	{"setting an attribute", faulty.SetXAttr, someFile, func(m *faultyMount, name string) error {
		return unix.Setxattr(m.path(name), "user.y", []byte("1"), 0)
	}},
	{"listing attributes", faulty.ListXAttr, someFile, func(m *faultyMount, name string) error {
		_, err := unix.Listxattr(m.path(name), make([]byte, 99))
		return err
	}},
	{"removing an attribute", faulty.RemoveXAttr, someFile, func(m *faultyMount, name string) error {
		return unix.Removexattr(m.path(name), "user.x")
	}},
	{"making a file", faulty.Create, nil, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, func(*os.File) error { return nil })
	}},
	{"making a directory", faulty.Mkdir, nil, func(m *faultyMount, name string) error {
		return os.Mkdir(m.path(name), 0o755)
	}},
	{"making a fifo", faulty.Mknod, nil, func(m *faultyMount, name string) error {
		return unix.Mkfifo(m.path(name), 0o600)
	}},
	{"making a symbolic link", faulty.Symlink, nil, func(m *faultyMount, name string) error {
		return os.Symlink("anywhere", m.path(name))
	}},
	{"making a link", faulty.Link, nil, func(m *faultyMount, name string) error {
		return os.Link(m.path("disk.vdi"), m.path(name))
	}},
	{"reading a symbolic link", faulty.Readlink, someLink, func(m *faultyMount, name string) error {
		_, err := os.Readlink(m.path(name))
		return err
	}},
	{"removing a file", faulty.Unlink, someFile, func(m *faultyMount, name string) error {
		return unix.Unlink(m.path(name))
	}},
	{"removing a directory", faulty.Rmdir, someDirectory, func(m *faultyMount, name string) error {
		return unix.Rmdir(m.path(name))
	}},
	{"renaming", faulty.Rename, someFile, func(m *faultyMount, name string) error {
		return os.Rename(m.path(name), m.path(name+" renamed"))
	}},
	{"opening a directory", faulty.OpenDir, someDirectory, func(m *faultyMount, name string) error {
		_, err := os.ReadDir(m.path(name))
		return err
	}},
	{"listing a directory", faulty.ReadDir, someDirectory, func(m *faultyMount, name string) error {
		_, err := os.ReadDir(m.path(name))
		return err
	}},
	{"fsync of a directory", faulty.FsyncDir, someDirectory, func(m *faultyMount, name string) error {
		return m.use(name, os.O_RDONLY, func(f *os.File) error { return f.Sync() })
	}},
	{"asking for free space", faulty.StatFs, someFile, func(m *faultyMount, name string) error {
		return unix.Statfs(m.path(name), &unix.Statfs_t{})
	}},
}

// faultyErrors are what a disk, a quota, a limit and a file system say that has
// been made read-only by an error.
var faultyErrors = []syscall.Errno{
	syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EFBIG, syscall.ENOMEM, syscall.EUCLEAN,
}

// Whatever call fails below the mount: its client gets that error, nobody else
// notices, and when the fault is over nothing of it is left.
func TestAFaultBelowIsToldAsItIsAndLeavesNothingBehind(t *testing.T) {
	for _, call := range faultyCalls {
		t.Run(call.name, func(t *testing.T) {
			m := mountOverFaulty(t)
			for _, errno := range faultyErrors {
				name := unix.ErrnoName(errno)
				path := filepath.Join(m.lower.Backing, "vm", name)
				if call.prepare != nil {
					call.prepare(t, path)
				}
				before := contentOf(t, path)
				m.fail(call.fails, errno)
				require.ErrorIs(t, call.do(m, name), errno)
				require.Equal(t, before, contentOf(t, path), "nothing was done")
				m.othersWork(t)
				m.lower.Heal()
				require.NoError(t, call.do(m, name), "after %v", errno)
				m.isWhole(t, name)
			}
		})
	}
}

// use opens a file of the volume "vm" and closes it again. It returns the first
// error.
func (m *faultyMount) use(name string, flags int, use func(f *os.File) error) error {
	f, err := os.OpenFile(m.path(name), flags, 0o600)
	if err != nil {
		return err
	}
	err = use(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// othersWork checks that the other volumes notice nothing.
func (m *faultyMount) othersWork(t *testing.T) {
	t.Helper()
	for _, volume := range []string{"beside", "sound"} {
		path := filepath.Join(m.dir, volume, "disk.vdi")
		require.Equal(t, presented(t, "zfs:"+volume), uuidOf(t, path))
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		require.NoError(t, writeBackHeader(f, 1))
		require.NoError(t, f.Sync())
		require.NoError(t, f.Close())
	}
}

// isWhole checks that the volume "vm" serves what is stored, with the UUID that it
// has had all along.
func (m *faultyMount) isWhole(t *testing.T, name string) {
	t.Helper()
	stored, err := os.ReadFile(m.stored("vm"))
	require.NoError(t, err)
	require.Equal(t, realHeader(t), stored)
	require.Equal(t, presented(t, "zfs:vm"), uuidOf(t, m.path("disk.vdi")))
	info, err := os.Lstat(filepath.Join(m.lower.Backing, "vm", name))
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	stored, err = os.ReadFile(filepath.Join(m.lower.Backing, "vm", name))
	require.NoError(t, err)
	vdi.NewMask("zfs:vm", vdi.KeepGuestSerial).Present(stored)
	served, err := os.ReadFile(m.path(name))
	require.NoError(t, err)
	require.Equal(t, stored, served)
}

// contentOf is what is at a path, in words where it is no regular file.
func contentOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err.Error()
	case !info.Mode().IsRegular():
		return info.Mode().String()
	}
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return info.Mode().String() + string(content)
}

func someFile(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, append(realHeader(t)[:512], make([]byte, 1<<20)...), 0o600))
	require.NoError(t, unix.Setxattr(path, "user.x", []byte("1"), 0))
}

func someDirectory(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.Mkdir(path, 0o755))
}

func someLink(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.Symlink("anywhere", path))
}
