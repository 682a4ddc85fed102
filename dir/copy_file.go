package dir

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// chunk is how many bytes are copied between two looks at the context.
const chunk = 16 << 20

// file makes a regular file with the content of source.
func (c *copier) file(source, to *os.File, name string, size int64) (*os.File, error) {
	target, err := openAt(to, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	setNoCow(target, source)
	if err := c.content(target, source, size); err != nil {
		closeQuietly(target)
		return nil, err
	}
	return target, nil
}

func (c *copier) content(target, source *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	err := retry(func() error { return reflink(fd(target), fd(source)) })
	switch {
	case err == nil:
		return nil
	case !isNoReflink(err):
		return &os.PathError{Op: "reflink", Path: source.Name(), Err: err}
	case !c.options.Copy:
		return fmt.Errorf("reflink %s (%v): %w", source.Name(), err, ErrNoReflink) //nolint:errorlint // its errno is not the client's
	}
	return c.copyData(target, source, size)
}

// isNoReflink tells whether an error of reflink is one that a copy goes round:
// those of ioctl_ficlone(2), and what file systems say that know no ioctls.
func isNoReflink(err error) bool {
	for _, no := range []error{unix.EOPNOTSUPP, unix.EXDEV, unix.EINVAL, unix.ENOTTY, unix.ENOSYS, unix.EBADF} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// copyData copies what is not a hole.
func (c *copier) copyData(target, source *os.File, size int64) error {
	for offset := int64(0); offset < size; {
		start, end, err := nextData(source, offset, size)
		if err != nil {
			return err
		}
		if err := c.copyRange(target, source, start, end); err != nil {
			return err
		}
		offset = end
	}
	return target.Truncate(size)
}

// nextData returns where data begins at or after offset, and where it ends.
func nextData(file *os.File, offset, size int64) (start, end int64, err error) {
	start, err = file.Seek(offset, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size, nil // a hole up to the end
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return offset, size, nil // the file system does not tell
	case err != nil:
		return 0, 0, err
	}
	end, err = file.Seek(start, unix.SEEK_HOLE)
	return min(start, size), min(end, size), err
}

func (c *copier) copyRange(target, source *os.File, start, end int64) error {
	if _, err := source.Seek(start, io.SeekStart); err != nil {
		return err
	}
	if _, err := target.Seek(start, io.SeekStart); err != nil {
		return err
	}
	for ; start < end; start += chunk {
		if err := interrupted(c.ctx); err != nil {
			return err
		}
		// The kernel copies, where it can: os.File has copy_file_range(2).
		if _, err := io.CopyN(target, source, min(chunk, end-start)); err != nil {
			return fmt.Errorf("copy %s: %w", source.Name(), err)
		}
	}
	return nil
}
