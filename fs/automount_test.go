package fs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

func TestAnAutomountedRootIsWhatIsMountedThere(t *testing.T) {
	v := newVolume(Volume{Name: "a@b", Dir: "/", Automount: "proc/self/..", Identity: "zfs:1"}, vdi.KeepGuestSerial, 1)
	_, err := v.openRoot()
	require.Error(t, err, "no link is followed, and nothing leads out")

	v = newVolume(Volume{Name: "a@b", Dir: "/", Automount: "proc", Identity: "zfs:1"}, vdi.KeepGuestSerial, 1)
	require.Equal(t, "/proc", v.Root())
	require.True(t, v.unentered())
	fd, err := v.openRoot()
	require.NoError(t, err)
	defer unix.Close(fd)
	require.False(t, v.unentered())
	require.Equal(t, uint32(unix.S_IFDIR|0o555), v.entered.Load().attr.Mode)
	require.Equal(t, v.inode(fileID{dev: 1, ino: 7}), v.inode(fileID{dev: 2, ino: 7}), "its device is another one each time")
}

func TestADirectoryIsNotTakenForWhatShouldBeMountedThere(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	v := newVolume(Volume{Dir: dir, Automount: "a/b"}, vdi.KeepGuestSerial, 1)
	_, err := v.openRoot()
	require.ErrorIs(t, err, errNotAutomounted)
	v = newVolume(Volume{Dir: dir, Automount: "a/c"}, vdi.KeepGuestSerial, 1)
	_, err = v.openRoot()
	require.ErrorIs(t, err, unix.ESTALE, "what is gone is looked up once more")
	require.True(t, v.unentered())
}
