package main

import (
	"fmt"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/handover"
	"github.com/clonefs/clonefs/fs"
)

// takeOver takes the mount at mountpoint over from the daemon that serves it, and
// returns the process that this was, or from systemd, where one has left it.
func (c *mountConfig) takeOver(mountpoint string, source fs.Source, options fs.Options) (server *fs.Server, from int, err error) {
	adopt := func(h *fs.Handover) (err error) {
		server, err = fs.Adopt(mountpoint, source, options, h)
		return err
	}
	if c.stored != nil {
		err = adopt(c.stored)
	} else if from, err = handover.Take(mountpoint, adopt); err != nil {
		err = fmt.Errorf("take %s over from the daemon that serves it, which goes on: %w", mountpoint, err)
	}
	if err != nil {
		return nil, from, err
	}
	server.Resume()
	return server, from, nil
}

// listen lets another process take the mount over.
func (s *service) listen() {
	offer, err := handover.Listen(s.mountpoint, s.server, s.logger)
	if err != nil {
		s.logger.Warn("nobody can take the mount over: `clonefs mount --replace` will not work", "error", err)
		return
	}
	s.offer = offer
}

// livingMount returns the absolute path of a directory that a living clonefs is
// mounted on, "" where there is none.
func livingMount(path string) (string, error) {
	resolved, mounted, err := resolveMountpoint(path)
	switch {
	case err != nil:
		return "", explainMountpoint(path, err)
	case mounted == nil || isDead(resolved):
		return "", nil
	}
	return resolved, nil
}

// storedMountpoint returns the absolute path of the directory that is to be mounted on,
// which is not touched: nobody answers there now.
func storedMountpoint(path string) (mountpoint string, living bool, err error) {
	resolved, mounted, err := resolveMountpoint(path)
	switch {
	case err != nil:
		return "", false, explainMountpoint(path, err)
	case mounted == nil:
		return "", false, fmt.Errorf("what is left of the mount that was handed over is not at %s: stop the service to end it", resolved)
	}
	return resolved, true, nil
}
