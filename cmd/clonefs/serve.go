package main

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/holders"
	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
	"github.com/clonefs/clonefs/fs"
)

// A service is a mount and what its daemon does until it ends.
type service struct {
	mountpoint string
	server     *fs.Server
	from       int // the process that the mount was taken over from, 0 if it was not
	offer      offer
	logger     *slog.Logger
	signals    chan os.Signal

	asked bool // to end, by a signal, and was busy

	manager *systemd // nil without
	stored  bool     // the mount is systemd's now
}

// An offer lets other processes take a mount over; see package handover.
type offer interface {
	// Taker returns the process that has taken it over, 0 if none has.
	Taker() int
	Close()
}

// catchSignals must come before the mount: a signal that ended the program
// after it would leave a dead mount behind.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endSignals...)
	return signals
}

// run serves until the file system is unmounted, by us or by others.
func (s *service) run() {
	ended := make(chan struct{})
	go func() {
		s.server.Wait()
		close(ended)
	}()
	for {
		select {
		case <-ended:
			s.ended()
			return
		case received := <-s.signals:
			s.end(received)
		}
	}
}

// ended is called when the mount is not this process's any more.
func (s *service) ended() {
	if s.stored {
		s.logger.Info("left to systemd for the next daemon", "mountpoint", s.mountpoint)
		return
	}
	if s.offer != nil {
		s.offer.Close()
		if taker := s.offer.Taker(); taker != 0 {
			s.logger.Info("handed over", "mountpoint", s.mountpoint, "to", taker)
			return
		}
	}
	s.logger.Info("unmounted", "mountpoint", s.mountpoint)
}

// end unmounts. The first time that the mount is busy it goes on, and says what
// keeps it so; the second time it takes the mount out of sight, and the daemon
// serves what is still open until that is closed.
func (s *service) end(received os.Signal) {
	if s.giveToManager() {
		return
	}
	err := s.unmount()
	switch {
	case err == nil:
	case !errors.Is(err, syscall.EBUSY):
		s.logger.Error("cannot unmount; serving on", "mountpoint", s.mountpoint, "signal", received, "error", err)
	case s.asked:
		s.detach()
	default:
		s.asked = true
		if s.manager != nil {
			go s.unmountWhenUnused()
		}
		s.logger.Warn("the mount is in use and stays; close what is open, or signal again to detach it and serve what is open until it is closed",
			"mountpoint", s.mountpoint, "signal", received, "users", usersOf(s.mountpoint))
	}
}

// unmount fails with EBUSY while a file is in use.
func (s *service) unmount() error { return mounts.Unmount(s.mountpoint, false) }

func (s *service) detach() {
	if err := mounts.Unmount(s.mountpoint, true); err != nil {
		s.logger.Error("cannot detach; serving on", "mountpoint", s.mountpoint, "error", err)
		return
	}
	s.logger.Warn("detached; serving what is open until it is closed", "mountpoint", s.mountpoint)
}

// usersOf says who keeps a mount busy, one a line.
func usersOf(mountpoint string) []string {
	table, err := mounts.Read()
	if err != nil {
		return []string{err.Error()}
	}
	mounted, ok := table.At(mountpoint)
	if !ok {
		return nil
	}
	return describeUsers(table, mounted)
}

func describeUsers(table mounts.Table, mounted mounts.Mount) []string {
	var users []string
	for _, m := range table.On(mounted) {
		users = append(users, "the mount of "+m.Source+" on "+m.Dir)
	}
	found, err := holders.Of(mounted)
	if err != nil {
		return append(users, err.Error())
	}
	for _, holder := range found {
		users = append(users, holder.String())
	}
	if len(users) == 0 {
		users = []string{noUserFound()}
	}
	return users
}

func noUserFound() string {
	if os.Geteuid() != 0 {
		return "a process of another user, or the kernel itself (a loop device, an NFS export, swap): root can see which"
	}
	return "no process: the kernel itself (a loop device, an NFS export, swap), or a process in another container"
}
