package handover

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// Pack puts a handover, with all its descriptors, into a socket, from which Unpack
// takes it; nobody needs to be there at the other end. While the socket is open the
// mount lives, and its clients wait.
func Pack(h *fs.Handover) (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[0])
	if err := send(pair[0], h); err != nil {
		unix.Close(pair[1])
		return nil, fmt.Errorf("put the mount and %d open files into a socket: %w", len(h.Files), err)
	}
	return os.NewFile(uintptr(pair[1]), "handover"), nil
}

// Unpack takes out what Pack has put in. It is not in the socket any more then.
func Unpack(socket int) (*fs.Handover, error) { return receive(socket) }
