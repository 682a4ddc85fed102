//go:build linux

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// asNobody runs a program as a user with no rights.
func asNobody(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, _ := cmd.CombinedOutput() // what it says is looked at
	return string(out)
}

// A clone can come from anywhere: what it says of devices and of whose rights a
// program has is shown, and has no effect.
func TestCLIDevicesAndSetuidBitsHaveNoEffect(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	id, err := exec.LookPath("id")
	require.NoError(t, err)
	program, err := os.ReadFile(id)
	require.NoError(t, err)
	for _, name := range []string{"src/job-1/id", "outside"} {
		require.NoError(t, os.WriteFile(c.path(name), program, 0o755))
		require.NoError(t, os.Chmod(c.path(name), 0o755|os.ModeSetuid|os.ModeSetgid))
	}
	require.NoError(t, unix.Mknod(c.path("src/job-1/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	require.NoError(t, unix.Chmod(c.path("src/job-1/null"), 0o666))
	c.mount("--allow-other", "-o", "dev,suid")

	require.Contains(t, asNobody(t, c.path("outside")), "euid=0", "the test can tell")
	onMount := asNobody(t, c.path("mnt/job-1/id"))
	require.Contains(t, onMount, "uid=65534")
	require.NotContains(t, onMount, "=0(")
	info, err := os.Stat(c.path("mnt/job-1/id"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSetuid, "it is shown")

	_, err = os.OpenFile(c.path("mnt/job-1/null"), os.O_RDWR, 0)
	require.ErrorIs(t, err, unix.EACCES)
	require.Subset(t, strings.FieldsFunc(c.mounted(), func(r rune) bool { return r == ',' || r == ' ' }), []string{"nosuid", "nodev"})
}

// Links are followed by the client's kernel with the client's rights: the daemon
// only says what is in them.
func TestCLILinksLeadWhereTheClientMayGo(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	require.NoError(t, os.Mkdir(c.path("secret"), 0o700))
	require.NoError(t, os.WriteFile(c.path("secret/file"), []byte("the secret"), 0o644))
	links := map[string]string{
		"absolute": c.path("secret/file"),
		"relative": "../../secret/file",
		"magic":    "/proc/self/root" + c.path("secret/file"),
		"above":    "../../src/../secret/file",
	}
	for name, target := range links {
		require.NoError(t, os.Symlink(target, c.path("src/job-1/"+name)))
	}
	c.mount("--allow-other")
	for name := range links {
		require.Contains(t, asNobody(t, "cat", c.path("mnt/job-1/"+name)), "Permission denied", name)
		content, err := os.ReadFile(c.path("mnt/job-1/" + name))
		require.NoError(t, err, "root may go there: %s", name)
		require.Equal(t, "the secret", string(content))
	}
}

// The directory above the mount is that of the mount point, never that of the
// source.
func TestDotsLeadOutOfTheMountAndNotIntoTheSource(t *testing.T) {
	m := mount(t, fs.Options{}, "vm")
	require.NoError(t, os.MkdirAll(filepath.Join(m.source, "vm/a/b"), 0o755))
	ino := func(path string) (s unix.Stat_t) {
		t.Helper()
		require.NoError(t, unix.Stat(path, &s))
		return s
	}
	for below, above := range map[string]string{
		"": filepath.Dir(m.mountpoint), "vm": m.mountpoint, "vm/a": m.mountpoint + "/vm", "vm/a/b": m.mountpoint + "/vm/a",
	} {
		dots := m.mountpoint + "/" + below + "/.."
		require.Equal(t, ino(above).Ino, ino(dots).Ino, dots)
		require.Equal(t, ino(above).Dev, ino(dots).Dev, dots)
	}
	dir := m.holdDirectory(t, "vm")
	for _, path := range []string{"../..", "a/../../.."} {
		_, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_XDEV})
		require.ErrorIs(t, err, unix.EXDEV, path)
	}
}

// An ioctl would be carried out with the daemon's rights.
func TestIoctlIsRefused(t *testing.T) {
	m := mount(t, fs.Options{}, "vm")
	backing := filepath.Join(m.source, "vm/file")
	require.NoError(t, os.WriteFile(backing, []byte("content"), 0o600))
	for _, name := range []string{"vm/file", "vm", ""} {
		f, err := os.Open(filepath.Join(m.mountpoint, name))
		require.NoError(t, err)
		defer f.Close()
		for request, what := range map[uintptr]string{
			unix.FS_IOC_GETFLAGS: "get flags",
			unix.FS_IOC_SETFLAGS: "set flags",
			0x801c581f:           "FS_IOC_FSGETXATTR",
			0xc0185879:           "FITRIM",
			0xc0045877:           "FIFREEZE",
			0x80081272:           "BLKGETSIZE64",
			0x5a0f:               "an ioctl of ZFS",
			0xffffffff:           "an ioctl that there is not",
		} {
			argument := make([]byte, 4096)
			argument[0] = unix.STATX_ATTR_IMMUTABLE // FS_IMMUTABLE_FL is the same bit
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(&argument[0])))
			require.Contains(t, []syscall.Errno{unix.ENOTTY, unix.EOPNOTSUPP}, errno, "%s of %q", what, name)
		}
	}
	require.NoError(t, os.WriteFile(backing, []byte("nobody made it immutable"), 0o600))
}
