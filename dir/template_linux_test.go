package dir

import (
	"bytes"
	"crypto/rand"
	"fmt"
	iofs "io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// anACL gives user 1234 all rights: linux/posix_acl_xattr.h.
const anACL = "\x02\x00\x00\x00" +
	"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\xd2\x04\x00\x00" + "\x04\x00\x05\x00\xff\xff\xff\xff" +
	"\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"

// makeTemplate makes a tree with one of everything, and returns its path.
func makeTemplate(t testing.TB) string {
	t.Helper()
	top := filepath.Join(t.TempDir(), "golden")
	path := func(name string) string { return filepath.Join(top, name) }
	for _, directory := range []string{"", "directory", "directory/empty", "read-only"} {
		mkdir(t, top, directory)
	}
	disk := make([]byte, 768<<10)
	_, err := rand.Read(disk)
	require.NoError(t, err)
	clear(disk[256<<10 : 512<<10])
	for _, name := range []string{"disk.vdi", "directory/file", "read-only/file"} {
		require.NoError(t, os.WriteFile(path(name), disk, 0o640))
	}
	require.NoError(t, os.WriteFile(path("empty"), nil, 0o400))
	writeSparse(t, path("sparse"), 2<<20)
	require.NoError(t, os.Symlink("/nowhere/at all", path("link")))
	require.NoError(t, os.Link(path("disk.vdi"), path("directory/second name")))
	require.NoError(t, syscall.Mkfifo(path("directory/fifo"), 0o600))
	require.NoError(t, os.WriteFile(path("directory/\xff\n"), nil, 0o600))
	require.NoError(t, os.Chmod(path("read-only"), 0o555))
	require.NoError(t, unix.Setxattr(path("disk.vdi"), "user.large", bytes.Repeat([]byte("x"), 1000), 0))
	require.NoError(t, unix.Setxattr(path("directory"), "system.posix_acl_access", []byte(anACL), 0))
	require.NoError(t, unix.Setxattr(path("directory"), "system.posix_acl_default", []byte(anACL), 0))
	if os.Geteuid() == 0 {
		makeRootsOwn(t, path)
	}
	past := []unix.Timespec{{Sec: 1234567890, Nsec: 123456789}, {Sec: 987654321, Nsec: 987654321}}
	for _, name := range []string{"link", "disk.vdi", "directory", "read-only", ""} {
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, path(name), past, unix.AT_SYMLINK_NOFOLLOW))
	}
	return top
}

// makeRootsOwn adds what only root can make.
func makeRootsOwn(t testing.TB, path func(string) string) {
	t.Helper()
	require.NoError(t, unix.Setxattr(path("disk.vdi"), "trusted.test", []byte("value"), 0))
	require.NoError(t, unix.Lsetxattr(path("link"), "trusted.test", []byte("of a link"), 0))
	require.NoError(t, unix.Mknod(path("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	require.NoError(t, os.WriteFile(path("capable"), nil, 0o700))
	for _, name := range []string{"link", "directory/file", "capable", "read-only"} {
		require.NoError(t, os.Lchown(path(name), 1234, 5678))
	}
	require.NoError(t, unix.Setxattr(path("capable"), "security.capability",
		[]byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
	require.NoError(t, os.Chmod(path("directory/file"), os.ModeSetuid|os.ModeSetgid|0o755))
}

// writeSparse makes a file of holes with a block of data in the middle.
func writeSparse(t testing.TB, path string, size int64) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, file.Truncate(size))
	_, err = file.WriteAt(bytes.Repeat([]byte("data"), 1024), size/2)
	require.NoError(t, err)
}

// archive is what GNU tar knows of a tree, and its extended attributes, which
// tar gives in no certain order; access control lists are among them.
func archive(t testing.TB, path string) []byte {
	t.Helper()
	tar := exec.Command("tar", "--create", "--sort=name", "--numeric-owner",
		"--format=posix", "--pax-option=delete=atime,delete=ctime,exthdr.name=%f", "--directory", path, ".")
	out, err := tar.Output()
	require.NoError(t, err)
	var attributes []string
	require.NoError(t, filepath.WalkDir(path, func(at string, _ iofs.DirEntry, err error) error {
		attributes = append(attributes, xattrsOf(t, at, at[len(path):])...)
		return err
	}))
	slices.Sort(attributes)
	return append(out, strings.Join(attributes, "\n")...)
}

// xattrsOf returns the extended attributes of what is at a path, each as a line.
func xattrsOf(t testing.TB, path, called string) (lines []string) {
	t.Helper()
	list, value := make([]byte, 1<<12), make([]byte, 1<<12)
	n, err := unix.Llistxattr(path, list)
	require.NoError(t, err)
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		if name == "" || strings.HasSuffix(name, ".clonefs.template") {
			continue
		}
		n, err := unix.Lgetxattr(path, name, value)
		require.NoError(t, err)
		lines = append(lines, fmt.Sprintf("%q: %s=%q", called, name, value[:n]))
	}
	return lines
}

func requireSameTree(t testing.TB, want, got string) {
	t.Helper()
	require.True(t, bytes.Equal(archive(t, want), archive(t, got)), "%s differs from %s: tar says so", got, want)
}

func entries(t testing.TB, path string) []string {
	t.Helper()
	list, err := os.ReadDir(path)
	require.NoError(t, err)
	names := []string{}
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}
