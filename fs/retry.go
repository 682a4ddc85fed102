package fs

import "golang.org/x/sys/unix"

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
