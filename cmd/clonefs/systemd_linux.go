package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/handover"
	"github.com/clonefs/clonefs/fs"
)

const (
	// notifyVariable names the socket on which systemd hears from a service of
	// Type=notify; see sd_notify(3).
	notifyVariable = "NOTIFY_SOCKET"
	// unitVariable names the service, as the unit sets it.
	unitVariable = "CLONEFS_UNIT"
	// storedName is what a mount is called among the descriptors that systemd
	// keeps for a service.
	storedName = "clonefs-mount"
	// firstStored is SD_LISTEN_FDS_START of sd_listen_fds(3).
	firstStored = 3
)

// systemd is the service manager that has started the daemon.
//
// On `systemctl restart` the daemon gives it the mount (see package handover) to keep
// until the next daemon comes. Nothing else keeps what was given, so it is done only
// when a restart is on its way, and when systemd has it for sure.
type systemd struct{ socket, unit string }

// underSystemd returns the service manager, nil if there is none. It hides it from
// programs that are started from here.
func underSystemd() *systemd {
	s := &systemd{os.Getenv(notifyVariable), os.Getenv(unitVariable)}
	_ = os.Unsetenv(notifyVariable) // it exists or it does not
	if s.socket == "" {
		return nil
	}
	return s
}

// ready tells that the mount answers.
func (s *systemd) ready() error { return s.notify("READY=1") }

func (s *systemd) notify(message string, descriptors ...int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		var rights []byte
		if len(descriptors) > 0 {
			rights = unix.UnixRights(descriptors...)
		}
		// A name that begins with "@" is an abstract one for unix as well.
		err = unix.Sendmsg(fd, []byte(message), rights, &unix.SockaddrUnix{Name: s.socket}, 0)
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("tell systemd %q on %s: %w", message, s.socket, err)
	}
	return nil
}

// restarts tells whether systemd stops the service in order to start it again.
func (s *systemd) restarts() bool {
	job, err := s.show(s.unit, "Job")
	if err != nil || job == "" || job == "0" {
		return false
	}
	kind, err := s.show(job, "JobType")
	return err == nil && kind == "restart"
}

// show returns a property of the service, or of a job.
func (s *systemd) show(of, property string) (string, error) {
	if s.unit == "" {
		return "", fmt.Errorf("the unit does not set %s", unitVariable)
	}
	output, err := exec.Command("systemctl", "show", "--value", "--property", property, "--", of).Output()
	return strings.TrimSpace(string(output)), err
}

// store gives a mount to systemd. Without an error the mount is in its hands.
func (s *systemd) store(h *fs.Handover) error {
	packed, err := handover.Pack(h)
	if err != nil {
		return err
	}
	defer packed.Close() //nolint:errcheck // systemd has it, or the mount is served on
	// systemd would look whether somebody is at the other end, and nobody is.
	if err := s.notify("FDSTORE=1\nFDPOLL=0\nFDNAME="+storedName, int(packed.Fd())); err != nil {
		return err
	}
	return s.awaitStored()
}

// awaitStored waits until systemd keeps a descriptor: where it keeps none, it says
// nothing.
func (s *systemd) awaitStored() error {
	const patience = 5 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		count, err := s.show(s.unit, "NFileDescriptorStore")
		switch stored, _ := strconv.Atoi(count); {
		case err != nil:
			return fmt.Errorf("ask systemd what it keeps: %w", err)
		case stored > 0:
			return nil
		case time.Now().After(end):
			return errors.New("systemd keeps no descriptors for the service: its unit must set FileDescriptorStoreMax")
		}
	}
}

// forgetStored makes systemd forget what it keeps.
func (s *systemd) forgetStored() error {
	return s.notify("FDSTOREREMOVE=1\nFDNAME=" + storedName)
}

// stored returns the mount that the daemon before this one has given to systemd, nil if
// there is none.
func (s *systemd) stored() (*fs.Handover, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	if s == nil || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	for _, variable := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(variable) // it exists
	}
	index := slices.Index(strings.Split(names, ":"), storedName)
	if total, err := strconv.Atoi(count); err != nil || index < 0 || index >= total {
		return nil, nil
	}
	defer unix.Close(firstStored + index)
	h, err := handover.Unpack(firstStored + index)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take the mount from systemd, which has kept it: %w", err), s.forgetStored())
	}
	return h, s.forgetStored()
}
