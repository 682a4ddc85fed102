package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// notifyVariable names the socket on which systemd waits to hear that a service
// of Type=notify is ready; see sd_notify(3).
const notifyVariable = "NOTIFY_SOCKET"

// notifyReady tells the service manager, if there is one, that the mount answers.
func notifyReady() error {
	socket, ok := os.LookupEnv(notifyVariable)
	if !ok {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		// A name that begins with "@" is an abstract one for unix as well.
		err = unix.Sendto(fd, []byte("READY=1"), 0, &unix.SockaddrUnix{Name: socket})
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("tell the service manager on %s that the mount answers: %w", socket, err)
	}
	return os.Unsetenv(notifyVariable) // it is not for programs that are started from here
}
