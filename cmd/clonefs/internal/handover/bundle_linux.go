package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// perPacket is how many descriptors go with one packet; the kernel takes 253
// (SCM_MAX_FD of net/scm.h).
const perPacket = 250

// announcement comes before the descriptors.
type announcement struct {
	Descriptors int    `json:"descriptors,omitempty"`
	Error       string `json:"error,omitempty"` // instead of any
}

// send sends a handover.
func send(socket int, h *fs.Handover) error {
	state, err := stateFile(h.State)
	if err != nil {
		return err
	}
	defer state.Close() //nolint:errcheck // it is in memory
	all := append([]int{int(state.Fd())}, h.Files...)
	if err := sendMessage(socket, announcement{Descriptors: len(all)}); err != nil {
		return err
	}
	for len(all) > 0 {
		some := all[:min(perPacket, len(all))]
		all = all[len(some):]
		err := retry(func() error { return unix.Sendmsg(socket, []byte{0}, unix.UnixRights(some...), nil, unix.MSG_NOSIGNAL) })
		if err != nil {
			return fmt.Errorf("send descriptors: %w", err)
		}
	}
	return nil
}

// stateFile returns a file in memory that holds state.
func stateFile(state []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("clonefs-state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "state")
	if _, err := f.Write(state); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// receive receives a handover, whose descriptors are the caller's then. After an error
// some may be open: the caller is to end.
func receive(socket int) (*fs.Handover, error) {
	var a announcement
	if err := receiveMessage(socket, &a); err != nil {
		return nil, err
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	var all []int
	for len(all) < a.Descriptors {
		some, err := receiveDescriptors(socket)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if len(all) == 0 {
		return nil, errors.New("the other process sends nothing")
	}
	state, err := readState(all[0])
	return &fs.Handover{State: state, Files: all[1:]}, err
}

func receiveDescriptors(socket int) ([]int, error) {
	control := make([]byte, unix.CmsgSpace(4*perPacket))
	var n, size, flags int
	err := retry(func() (err error) {
		n, size, flags, _, err = unix.Recvmsg(socket, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("receive descriptors: %w", err)
	case n == 0:
		return nil, fmt.Errorf("receive descriptors: %w", io.ErrUnexpectedEOF)
	case flags&unix.MSG_CTRUNC != 0:
		return nil, errors.New("receive descriptors: there are too many; raise the limit of open files (ulimit -n, LimitNOFILE)")
	}
	messages, err := unix.ParseSocketControlMessage(control[:size])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("receive descriptors: %d messages: %w", len(messages), errors.Join(err, io.ErrUnexpectedEOF))
	}
	return unix.ParseUnixRights(&messages[0])
}

// readState reads what stateFile has made; the descriptor's position is the writer's.
func readState(fd int) ([]byte, error) {
	f := os.NewFile(uintptr(fd), "state")
	defer f.Close() //nolint:errcheck // it was only read
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

func sendMessage(socket int, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return os.NewSyscallError("send", retry(func() error { return unix.Send(socket, b, unix.MSG_NOSIGNAL) }))
}

func receiveMessage(socket int, message any) error {
	b := make([]byte, 64<<10)
	var n int
	err := retry(func() (err error) {
		n, _, err = unix.Recvfrom(socket, b, 0)
		return err
	})
	if err != nil {
		return os.NewSyscallError("receive", err)
	}
	if n == 0 {
		return io.ErrUnexpectedEOF
	}
	return json.Unmarshal(b[:n], message)
}

// retry repeats a call that a signal has interrupted: those on a socket with a time limit
// are never restarted by the kernel (signal(7)).
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
