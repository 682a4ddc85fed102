package connection

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestWhatAsksTheMountHasNoDescriptorOfTheDevice(t *testing.T) {
	fd, err := unix.MemfdCreate("device", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	c := &Connection{device: fd}
	var inThread error
	c.aside(func() {
		var s unix.Stat_t
		inThread = unix.Lstat(fmt.Sprintf("/proc/thread-self/fd/%d", fd), &s)
	})
	require.ErrorIs(t, inThread, unix.ENOENT)
	_, err = os.Lstat(fmt.Sprintf("/proc/self/fd/%d", fd))
	require.NoError(t, err, "the other threads have it")
}
