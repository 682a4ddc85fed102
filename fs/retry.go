package fs

import (
	"time"

	"golang.org/x/sys/unix"
)

// retry repeats a system call that a signal interrupted: the Go runtime sends
// its own threads signals, and network file systems return EINTR for them.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// retry2 is retry for calls with a result.
func retry2[T any](call func() (T, error)) (result T, err error) {
	err = retry(func() error {
		result, err = call()
		return err
	})
	return result, err
}

// roomy is retry for calls that need room. A file that was just removed takes
// room until the kernel's word that it forgot it has reached us, a moment after
// the client's unlink(2) returned; so where there is no room, such a moment is
// waited for.
func roomy(m *mirror, call func() error) error {
	const wait, times = 2 * time.Millisecond, 25
	freed := m.orphans.freed.Load()
	err := retry(call)
	for range times {
		if !isFull(err) || !m.orphans.mayMakeRoom(freed) {
			break
		}
		time.Sleep(wait)
		freed = m.orphans.freed.Load()
		err = retry(call)
	}
	return err
}

// isFull tells whether an error means that there is no room.
func isFull(err error) bool { return err == unix.ENOSPC || err == unix.EDQUOT }

// roomy2 is roomy for calls with a result.
func roomy2[T any](m *mirror, call func() (T, error)) (result T, err error) {
	err = roomy(m, func() error {
		result, err = call()
		return err
	})
	return result, err
}
