package main

import (
	"errors"
	"syscall"
	"time"
)

// serveFor is run for the service manager, nil for none. It says that the mount
// answers, and stays responsible to it.
func (s *service) serveFor(manager *systemd) {
	s.manager = manager
	if manager != nil {
		if err := manager.ready(); err != nil {
			s.logger.Error("systemd may think that the mount never came up", "error", err)
		}
	}
	s.run()
}

// giveToManager gives the mount to systemd if that is about to start the service again,
// and returns whether it has.
func (s *service) giveToManager() bool {
	if s.manager == nil || !s.manager.restarts() {
		return false
	}
	if err := s.tryGive(); err != nil {
		s.logger.Error("the mount cannot be handed over to the next daemon, and is served on", "error", err)
		return false
	}
	s.stored = true
	s.server.Leave()
	return true
}

func (s *service) tryGive() error {
	const patience = 10 * time.Second // of clients, for requests that are in work
	h, err := s.server.Suspend(patience)
	if err != nil {
		return err
	}
	if err = s.manager.store(h); err != nil {
		s.server.Resume()
	}
	return err
}

// unmountWhenUnused unmounts as soon as nobody uses the mount: systemd asks once, and
// kills who does not end.
func (s *service) unmountWhenUnused() {
	const pause = 500 * time.Millisecond
	for errors.Is(s.unmount(), syscall.EBUSY) {
		time.Sleep(pause)
	}
}
