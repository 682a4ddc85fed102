package fs

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
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
		m.log.Log(context.Background(), refused.level, operation+" refused", "place", n.describe(), "reason", refused.reason)
		return refused.errno
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return m.foreign(errno)
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
	level  slog.Level
	reason string
}

func (r *refusal) Error() string { return r.reason }

var (
	errReadOnly = &refusal{syscall.EROFS, slog.LevelDebug, "the volume is read-only"}
	errCrossing = &refusal{syscall.EXDEV, slog.LevelDebug, "the two names are in different volumes"}
	errVolume   = &refusal{syscall.EBUSY, slog.LevelInfo, "it is a volume's own directory; rename or destroy the volume where it comes from, or mount with --manage"}
	errTaken    = &refusal{syscall.EEXIST, slog.LevelInfo, "the new name is another volume's"}
	errNotHere  = &refusal{syscall.EPERM, slog.LevelInfo, "directories here are volumes; make one where they come from, or mount with --manage"}
	errHidden   = &refusal{syscall.EPERM, slog.LevelInfo, "the source keeps such names for itself"}
	errTop      = &refusal{syscall.EPERM, slog.LevelInfo, "owner and mode of the top directory were set when it was mounted"}
	errVirtual  = &refusal{syscall.EROFS, slog.LevelDebug, "no volume has its files here; there are only volumes further below"}
)
