//go:build linux

package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An ext4 that finds an error in itself goes on read-only, with the daemon on it.
func TestAFileSystemThatTurnsReadOnlyIsReadOnlyOnTheMountUntilItIsMended(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	requireTool(t, "e2fsck")
	s := newStruckLoad(t, func(base, at string) *disk { return newDisk(t, onExt4, 512<<20, base+"/image", at) })
	for range 3 {
		s.strike(t, func() { s.disk.turnReadOnly(t) }, syscall.EROFS, syscall.EIO)
		s.check(t) // it can be read, the headers too
		s.requireAnswersOfDisk(t, syscall.EROFS)
		s.disk.unmount(t)
		s.disk.repair(t)
		s.disk.mount(t)
		s.check(t)
	}
	s.requireSound(t)
	s.load.mount.Unmount(t)
}

// turnReadOnly makes ext4 find an error, which its superblock says to answer with
// errors=remount-ro.
func (d *disk) turnReadOnly(t *testing.T) {
	t.Helper()
	var s unix.Stat_t
	require.NoError(t, unix.Stat(d.at, &s))
	device, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(s.Dev), unix.Minor(s.Dev)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join("/sys/fs/ext4", filepath.Base(device), "trigger_fs_error"), []byte("1"), 0o200))
}

// repair repairs it while it is not mounted. e2fsck(8) ends with 1 if there was
// something to repair.
func (d *disk) repair(t *testing.T) {
	t.Helper()
	out, err := exec.Command("e2fsck", "-f", "-p", d.image).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		require.NoError(t, err, "%s", out)
	}
}
