package fs

import (
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// foreign is what an errno of the daemon's own system calls is to a client. That
// the daemon has no descriptors left (EMFILE) would tell the client to close files
// of its own; the system being out of them (ENFILE) is what it looks like from
// there.
func (m *mirror) foreign(errno syscall.Errno) syscall.Errno {
	if errno != syscall.EMFILE {
		return errno
	}
	m.limit.tell(m.log)
	return syscall.ENFILE
}

// A descriptorLimit tells that the daemon has reached it.
type descriptorLimit struct {
	told atomic.Int64 // when, in nanoseconds since 1970
}

// tell logs it, but not for each request that fails because of it.
func (l *descriptorLimit) tell(log *slog.Logger) {
	const pause = time.Minute
	now, last := time.Now().UnixNano(), l.told.Load()
	if now-last < int64(pause) || !l.told.CompareAndSwap(last, now) {
		return
	}
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) // 0 is logged then
	log.Error("the daemon has as many files open as it may, and clients get ENFILE: "+
		"close files on the mount, or mount again with a higher hard limit (ulimit -Hn, LimitNOFILE= of systemd)",
		"limit", limit.Cur)
}
