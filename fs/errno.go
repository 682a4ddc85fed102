package fs

import (
	"errors"
	"io/fs"
	"syscall"
)

// errno turns an error into what the client's system call returns, and is the
// one place that does. go-fuse's own ToErrno makes ENOTSUP of what it does not
// know, which a caller takes for a missing feature and works around.
func (m *mirror) errno(operation string, n *node, err error) syscall.Errno {
	if err == nil {
		return 0
	}
	var refused *refusal
	if errors.As(err, &refused) {
		m.log.Warn(operation+" refused", "place", n.describe(), "reason", refused.reason)
		return refused.errno
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	if errors.Is(err, fs.ErrNotExist) {
		return syscall.ENOENT
	}
	m.log.Error(operation+" failed", "place", n.describe(), "error", err)
	return syscall.EIO
}

// A refusal is an operation that clonefs itself does not allow. Its reason goes
// to the log, because an errno cannot carry it.
type refusal struct {
	errno  syscall.Errno
	reason string
}

func (r *refusal) Error() string { return r.reason }

var (
	errReadOnly = &refusal{syscall.EROFS, "the volume is read-only"}
	errCrossing = &refusal{syscall.EXDEV, "the two names are in different volumes"}
	errVolume   = &refusal{syscall.EBUSY, "it is a volume's own directory; rename or remove the volume where it comes from"}
	errNotHere  = &refusal{syscall.EPERM, "directories here are volumes; make a volume where they come from"}
	errVirtual  = &refusal{syscall.EROFS, "no volume has its files here; there are only volumes further below"}
)
