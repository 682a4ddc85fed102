//go:build linux

package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestADeadMountThatSomethingUsesIsCleanedAndUnmounted(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	kill := func() {
		_, end := c.use("job-1/disk.vdi")
		t.Cleanup(end)
		c.signal(c.daemon(), syscall.SIGKILL)
		c.awaitEnd()
		require.ErrorIs(t, unix.Access(c.path("mnt/job-1/disk.vdi"), unix.F_OK), unix.ENOTCONN)
	}
	c.mount()
	kill()
	r := c.run("mount", "--log-file=log", "./src", "mnt")
	require.Zero(t, r.status, r.stderr)
	require.Contains(t, r.stderr, "clonefs: cleaned "+c.path("mnt"))
	require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))
	kill()
	c.succeed("unmount", "mnt")
	require.Empty(t, c.mounted())
	require.NoError(t, os.Remove(c.path("mnt")), "nothing is left of it")
}

func TestAUserCleansAndUnmountsADeadMount(t *testing.T) {
	requireTool(t, "fusermount3")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(userScript + `
die() {
	kill -9 $(pgrep -x clonefs)
	until ! pgrep -x clonefs; do :; done
	! test -e mnt/job-1
}
stay() {
	user sh -c 'cd mnt/job-1 && exec sleep 600' &
	until pgrep -x sleep; do :; done
}
user $CLONEFS mount ./src mnt
die
user $CLONEFS unmount mnt
! findmnt mnt
user $CLONEFS mount ./src mnt
stay
die
user $CLONEFS mount ./src mnt
user $CLONEFS ls mnt
stay
die
user $CLONEFS unmount mnt
! findmnt mnt
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Equal(t, 1, strings.Count(r.stderr, "clonefs: cleaned "+c.path("mnt")), r.stderr)
	require.Contains(t, r.stdout, "9079169b-0bcc-478b-92d7-ae738c9e7cb0")
}

func TestADeadMountOfAnotherFileSystemIsLeftAlone(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)
	require.NoError(t, unix.Mount("other", c.path("mnt"), "fuse.other", 0, options))
	require.NoError(t, unix.Close(device)) // and with it goes its server
	c.fail(1, "lies on a dead mount of another file system", "mount", "./src", "mnt")
	c.fail(1, "lies on a dead mount of another file system", "unmount", "mnt")
	require.Contains(t, c.mounted(), "fuse.other")
}
