package handover

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// Take takes a mount over from the process that serves it. Prepare is given what that
// process knows, and gets ready to serve; when Take returns without an error the other
// process has left, and this one is to serve. Otherwise the other one goes on.
func Take(mountpoint string, prepare func(*fs.Handover) error) (from int, err error) {
	conn, from, err := connect(mountpoint)
	if err != nil {
		return 0, err
	}
	defer unix.Close(conn)
	return from, take(conn, prepare)
}

func take(conn int, prepare func(*fs.Handover) error) error {
	h, err := receive(conn)
	switch {
	case isGone(err):
		return fmt.Errorf("it has ended, or handed the mount to another process: %w", err)
	case err != nil:
		return err
	}
	if err := prepare(h); err != nil {
		_ = sendMessage(conn, answer{Error: err.Error()}) // or else it finds out by itself
		return err
	}
	return agree(conn)
}

// agree says that this process is ready, and waits until the other one has left. That
// may take as long as it likes, since only it knows who is to serve. It never closes the
// connection without a word: if that is closed, it has died, and this process is the
// only one that has the mount.
func agree(conn int) error {
	said := sendMessage(conn, answer{}) // if it fails, the other process has said why
	var left answer
	err := errors.Join(setPatience(conn, 0), receiveMessage(conn, &left))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	case err != nil:
		return fmt.Errorf("wait until the other process has left: %w", errors.Join(said, err))
	case left.Error != "":
		return errors.New(left.Error)
	}
	return nil
}

// isGone tells whether an error says that the other end of a connection is closed.
func isGone(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.ECONNRESET)
}

// connect connects to the process that serves a mount.
func connect(mountpoint string) (conn, pid int, err error) {
	device, err := deviceOf(mountpoint)
	if err != nil {
		return -1, 0, err
	}
	path, err := place(device)
	if err != nil {
		return -1, 0, err
	}
	return connectTo(path)
}

func connectTo(path string) (conn, pid int, err error) {
	conn, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, err
	}
	if err = retry(func() error { return unix.Connect(conn, &unix.SockaddrUnix{Name: path}) }); err != nil {
		err = fmt.Errorf("no daemon of this user offers it on %s (of a service: `systemctl restart` does it; "+
			"of an older version: unmount, and mount anew): %w", path, err)
	} else if pid, err = peer(conn); err == nil {
		err = setPatience(conn, requestPatience+peerPatience)
	}
	if err != nil {
		unix.Close(conn)
	}
	return conn, pid, err
}
