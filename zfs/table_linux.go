package zfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// mountinfo is the kernel's table of the mounts that this process sees.
const mountinfo = "/proc/self/mountinfo"

// A kernelTable reads the kernel's table of mounts.
type kernelTable struct {
	file int // its events are those that changed has not told yet
}

// openTable opens the kernel's table of mounts.
func openTable() (*kernelTable, error) {
	file, err := openMountinfo()
	if err != nil {
		return nil, err
	}
	return &kernelTable{file: file}, nil
}

// openMountinfo returns a file descriptor for pollPriority. It is no os.File: Go's
// runtime would poll that, too, and every event is told once.
func openMountinfo() (int, error) {
	file, err := unix.Open(mountinfo, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening the table of mounts: %w", &os.PathError{Op: "open", Path: mountinfo, Err: err})
	}
	return file, nil
}

// reusesIDs is true: a mount's ID and device number are given to the next one when
// it is gone.
func (t *kernelTable) reusesIDs() bool { return true }

// read reads the table.
func (t *kernelTable) read() ([]mount, error) {
	text, err := os.ReadFile(mountinfo)
	if err != nil {
		return nil, fmt.Errorf("reading the table of mounts: %w", err)
	}
	return parseMountinfo(string(text))
}

// changed says whether there was a mount or an unmount since it was last called.
func (t *kernelTable) changed() bool {
	happened, err := pollPriority(0, t.file)
	return happened || err != nil
}

// watch calls look after every mount and unmount, and at the latest when most has
// passed, until ctx is done.
func (t *kernelTable) watch(ctx context.Context, most time.Duration, look func()) error {
	file, err := openMountinfo()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(file) }()
	// A pipe whose writing end is closed ends the waiting.
	end, ender, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _, _ = end.Close(), ender.Close() }()
	defer context.AfterFunc(ctx, func() { _ = ender.Close() })()
	for ctx.Err() == nil {
		if _, err := pollPriority(most, file, int(end.Fd())); err != nil {
			return fmt.Errorf("waiting for mounts: %w", err)
		}
		look()
	}
	return nil
}

// close ends the use of the table.
func (t *kernelTable) close() error { return unix.Close(t.file) }

// pollPriority waits for POLLPRI, with which the kernel tells of a change to the
// table, once to every open file (see proc_pid_mounts(5)), and for the end of
// pipes. It says whether there was anything.
func pollPriority(timeout time.Duration, files ...int) (bool, error) {
	fds := make([]unix.PollFd, len(files))
	for i, file := range files {
		fds[i] = unix.PollFd{Fd: int32(file), Events: unix.POLLPRI}
	}
	for {
		n, err := unix.Poll(fds, int(timeout.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}
