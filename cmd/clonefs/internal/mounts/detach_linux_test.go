package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// deadMount makes a mount whose server is gone, as a daemon that was killed leaves
// it.
func deadMount(t *testing.T) Mount {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("mounting takes root")
		}
		t.Skip("mounting takes root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)
	require.NoError(t, unix.Mount("dir:/nowhere", dir, cloneFSType, 0, options))
	t.Cleanup(func() {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil { // until nothing is mounted there
		}
	})
	require.NoError(t, unix.Close(device))
	return topmost(t, dir)
}

func topmost(t *testing.T, dir string) Mount {
	t.Helper()
	table, err := Read()
	require.NoError(t, err)
	m, ok := table.At(dir)
	require.True(t, ok)
	return m
}

func TestADeadMountIsDetachedAlsoWhileItIsInUse(t *testing.T) {
	m := deadMount(t)
	user, err := unix.Open(m.Dir, unix.O_PATH, 0)
	require.NoError(t, err)
	defer unix.Close(user)
	require.ErrorIs(t, Unmount(m.Dir, false), unix.EBUSY)
	require.NoError(t, DetachDead(m))
	table, err := Read()
	require.NoError(t, err)
	_, mounted := table.At(m.Dir)
	require.False(t, mounted)
	require.ErrorIs(t, DetachDead(m), ErrReplaced, "somebody else has taken it away")
}

func TestAMountThatHasReplacedADeadOneStays(t *testing.T) {
	dead := deadMount(t)
	require.NoError(t, unix.Mount("none", dead.Dir, "tmpfs", 0, ""))
	living := topmost(t, dead.Dir)
	require.ErrorIs(t, DetachDead(dead), ErrReplaced)
	require.Equal(t, living, topmost(t, dead.Dir))
}
