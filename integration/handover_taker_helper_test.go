//go:build linux

package integration

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// takeHalf asks the daemon for the mount, as clonefs mount --replace does, and ends at a
// step. It returns when the daemon serves on.
func (l *load) takeHalf(t *testing.T, step string) {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(l.mount.Dir, &st))
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	path := fmt.Sprintf("/run/clonefs/mount-%d-%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	require.NoError(t, unix.Connect(socket, &unix.SockaddrUnix{Name: path}))
	if step != "it connects" {
		announced := l.announced(t, socket)
		for received := 0; step == "it has all" && received < announced || step == "it has some descriptors" && received == 0; {
			received += receiveRights(t, socket)
		}
	}
	require.NoError(t, unix.Close(socket))
}

// announced is how many descriptors are to come.
func (l *load) announced(t *testing.T, socket int) int {
	t.Helper()
	message := make([]byte, 1000)
	n, _, err := unix.Recvfrom(socket, message, 0)
	require.NoError(t, err)
	var a struct{ Descriptors int }
	require.NoError(t, json.Unmarshal(message[:n], &a))
	require.GreaterOrEqual(t, a.Descriptors, 2+len(l.writers), "what is known, the device, and the open files")
	return a.Descriptors
}

// receiveRights receives descriptors and closes them.
func receiveRights(t *testing.T, socket int) int {
	t.Helper()
	control := make([]byte, unix.CmsgSpace(4*253))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	require.NoError(t, err)
	messages, err := unix.ParseSocketControlMessage(control[:n])
	require.NoError(t, err)
	require.Len(t, messages, 1)
	rights, err := unix.ParseUnixRights(&messages[0])
	require.NoError(t, err)
	for _, fd := range rights {
		require.NoError(t, unix.Close(fd))
	}
	return len(rights)
}
