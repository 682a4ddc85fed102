//go:build linux

package integration

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

// ends are the ways to end a mount in good order while it is written to. None of
// them may show in a writer's system calls: what is open is served until it is
// closed.
var ends = []struct {
	name string
	end  func(t *testing.T, l *load)
}{
	{"SIGTERM once, and the writers end", func(t *testing.T, l *load) {
		l.signal(t, "signal again to detach")
		l.goOn(t)
		l.halt()
		require.NoError(t, syscall.Kill(l.mount.PID(), syscall.SIGTERM))
	}},
	{"SIGTERM twice", func(t *testing.T, l *load) {
		l.signal(t, "signal again to detach")
		l.goOn(t)
		l.signal(t, "detached; serving what is open")
		l.goOn(t)
		l.halt()
	}},
	{"clonefs unmount, which refuses, and once more when the writers have ended", func(t *testing.T, l *load) {
		_, err := daemon.TryRun(t, "unmount", l.mount.Dir)
		require.ErrorContains(t, err, "exit status 3")
		l.goOn(t)
		l.halt()
		l.eventually(t, "the mount is not busy any more", func() bool {
			_, err := daemon.TryRun(t, "unmount", l.mount.Dir)
			return err == nil
		})
	}},
	{"clonefs unmount --lazy", func(t *testing.T, l *load) {
		daemon.Run(t, "unmount", "--lazy", l.mount.Dir)
		l.goOn(t)
		l.halt()
	}},
	{"umount -l", func(t *testing.T, l *load) {
		require.NoError(t, unix.Unmount(l.mount.Dir, unix.MNT_DETACH))
		l.goOn(t)
		l.halt()
	}},
}

func TestNothingIsLostAndNobodyDisturbedWhenAMountIsEndedUnderLoad(t *testing.T) {
	for _, test := range ends {
		t.Run(test.name, func(t *testing.T) {
			l := newLoad(t)
			l.start(t)
			l.await(t, 3)
			test.end(t, l)
			l.checkErrors(t)
			l.mount.AwaitEnd(t)
			l.mount.Start(t)
			l.check(t)
		})
	}
}

// signal tells the daemon to end, and waits until it has said this.
func (l *load) signal(t *testing.T, answer string) {
	t.Helper()
	require.NoError(t, syscall.Kill(l.mount.PID(), syscall.SIGTERM))
	l.eventually(t, "the daemon answers the signal", func() bool { return strings.Contains(l.mount.Log(), answer) })
}
