package handover

import (
	"errors"
	"fmt"

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
	if err != nil {
		return err
	}
	if err := prepare(h); err != nil {
		_ = sendMessage(conn, answer{Error: err.Error()}) // or else it finds out by itself
		return err
	}
	if err := sendMessage(conn, answer{}); err != nil {
		return err
	}
	var left answer
	if err := receiveMessage(conn, &left); err != nil {
		return fmt.Errorf("wait until the other process has left: %w", err)
	}
	if left.Error != "" {
		return errors.New(left.Error)
	}
	return nil
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
	conn, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, err
	}
	if err = unix.Connect(conn, &unix.SockaddrUnix{Name: path}); err != nil {
		err = fmt.Errorf("connect to %s: %w", path, err)
	} else if pid, err = peer(conn); err == nil {
		err = setPatience(conn, requestPatience+peerPatience)
	}
	if err != nil {
		unix.Close(conn)
	}
	return conn, pid, err
}
