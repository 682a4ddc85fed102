//go:build linux

package integration

import (
	"os"
	"strconv"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// heldLocks are locks, which are the kernel's own.
var heldLocks = []holding{
	{"a lock of the whole file", func(s *site) func() {
		f := s.open("file", unix.O_RDWR|unix.O_CREAT)
		require.NoError(s.t, unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
		try := func() string { return s.helped("flock", s.path("file"), strconv.Itoa(unix.LOCK_SH)) }
		return func() {
			require.Contains(s.t, try(), "EAGAIN")
			if s.last {
				require.NoError(s.t, unix.Flock(int(f.Fd()), unix.LOCK_UN))
				require.NotContains(s.t, try(), "EAGAIN")
			}
		}
	}},
	{"a lock of a record, of the process", func(s *site) func() { return s.holdsRecord(unix.F_SETLK) }},
	{"a lock of a record, of the open file", func(s *site) func() { return s.holdsRecord(unix.F_OFD_SETLK) }},
	{"a lease", func(s *site) func() {
		require.NoError(s.t, os.WriteFile(s.path("file"), nil, 0o600))
		f := s.open("file", unix.O_RDONLY)
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
		require.NoError(s.t, err)
		return func() {
			kind, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0)
			require.NoError(s.t, err)
			require.Equal(s.t, unix.F_RDLCK, kind)
			if s.last {
				_, err = unix.Open(s.path("file"), unix.O_WRONLY|unix.O_NONBLOCK, 0)
				require.ErrorIs(s.t, err, unix.EWOULDBLOCK, "who writes must wait for the lease")
			}
		}
	}},
}

// holdsRecord locks bytes of a file, and lets go of them at last.
func (s *site) holdsRecord(call int) func() {
	f := s.open("file", unix.O_RDWR|unix.O_CREAT)
	lock := func(kind int16) {
		l := unix.Flock_t{Type: kind, Start: 10, Len: 10}
		require.NoError(s.t, unix.FcntlFlock(f.Fd(), call, &l))
	}
	lock(unix.F_WRLCK)
	try := func(start string) string {
		return s.helped("lock", s.path("file"), strconv.Itoa(unix.F_RDLCK), start, "5")
	}
	return func() {
		require.Contains(s.t, try("12"), "EAGAIN")
		require.NotContains(s.t, try("20"), "EAGAIN")
		if s.last {
			lock(unix.F_UNLCK)
			require.NotContains(s.t, try("12"), "EAGAIN")
		}
	}
}
