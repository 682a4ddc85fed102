package dir

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// An inode tells an object from every other that exists.
type inode struct{ dev, number uint64 }

func inodeOf(s *unix.Stat_t) inode { return inode{s.Dev, s.Ino} }

// fd is the descriptor of a file that stays open during the call that it is for.
func fd(file *os.File) int { return int(file.Fd()) }

// closeQuietly closes a file that was only read, or whose writes were checked.
func closeQuietly(file *os.File) { _ = file.Close() }

// openAt opens name in a directory, never through a symbolic link. A fifo does
// not block it.
func openAt(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	var got int
	err := retry(func() (err error) {
		got, err = unix.Openat(fd(dir), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, mode)
		return err
	})
	path := filepath.Join(dir.Name(), name)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(got), path), nil
}

func openDirectory(dir *os.File, name string) (*os.File, error) {
	return openAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// isOnOtherDevice tells whether name is on another file system than the
// directory that it is in.
func isOnOtherDevice(dir *os.File, name string) bool {
	var above, at unix.Stat_t
	return unix.Fstat(fd(dir), &above) == nil &&
		unix.Fstatat(fd(dir), name, &at, unix.AT_SYMLINK_NOFOLLOW) == nil && above.Dev != at.Dev
}

// readLink returns the text of a symbolic link that is open to be named.
func readLink(link *os.File) (string, error) {
	buf := make([]byte, 4096) // PATH_MAX, and so the longest
	n, err := unix.Readlinkat(fd(link), "", buf)
	return string(buf[:max(n, 0)]), err
}

// retry repeats a system call that a signal interrupted, such as those that the
// Go runtime sends to its own threads.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
