package connection

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// readAhead is how far the kernel reads ahead of a program that reads a file from
// one end to the other, in KiB. Whatever the protocol's first answer says, a mount
// begins with 128 (VM_READAHEAD_PAGES of linux/mm.h), which makes such a program
// wait for an answer for each 128 KiB. This is enough for the next request to be on its
// way while one is read. Programs that say that they read so (POSIX_FADV_SEQUENTIAL)
// get twice as much, and that still fits a pipe; see answerSpliced.
const readAhead = (pipeSize/1024 - 8) / 2

// raiseReadAhead needs root, and a /sys that can be written to; without them
// reading is slower.
func raiseReadAhead(mountpoint string) error {
	var s unix.Stat_t
	if err := unix.Stat(mountpoint, &s); err != nil {
		return fmt.Errorf("stat %s: %w", mountpoint, err)
	}
	device := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(s.Dev), unix.Minor(s.Dev))
	fd, err := unix.Open(device, unix.O_WRONLY|unix.O_CLOEXEC, 0) // no os.File: see aside
	if err != nil {
		return os.NewSyscallError("open "+device, err)
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(strconv.Itoa(readAhead)))
	return os.NewSyscallError("write "+device, err)
}
