//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// mounts are the mirrors of the directories below one backing. One is mounted
// when it is first asked for, and stays.
type mounts struct {
	tools   tools
	dir     string // where the mount points are
	daemons map[string]mounted
}

// mounted is an attempt to mount, which is not repeated.
type mounted struct {
	daemon *daemon
	err    error
}

func newMounts(t tools, dir string) *mounts {
	return &mounts{tools: t, dir: dir, daemons: map[string]mounted{}}
}

// path returns where a subject has the file at this path below source.
func (m *mounts) path(ctx context.Context, s subject, source, path string) (string, error) {
	if s.command == nil {
		return filepath.Join(source, path), nil
	}
	if s.oneFile {
		source, path = filepath.Join(source, path), filepath.Base(path)
	}
	dir, err := m.mountpoint(ctx, s, source)
	return filepath.Join(dir, path), err
}

func (m *mounts) mountpoint(ctx context.Context, s subject, source string) (string, error) {
	key := s.name + " " + source
	known, ok := m.daemons[key]
	if !ok {
		dir := filepath.Join(m.dir, fmt.Sprintf("%s-%d", s.name, len(m.daemons)))
		known.err = m.tools.missing(s.name)
		if known.err == nil {
			known.daemon, known.err = startDaemon(ctx, dir, s.command(m.tools, source, dir))
			if known.err != nil {
				known.err = noted{"no mount", fmt.Errorf("cannot mount: %w", known.err)}
			}
		}
		m.daemons[key] = known
	}
	if known.err != nil {
		return "", known.err
	}
	return known.daemon.mountpoint, nil
}

// refused says why clonefs has not done native I/O although it was told to. Then
// it goes on without, so that the figures would be those of the other column.
func (m *mounts) refused() error {
	for key, known := range m.daemons {
		if known.daemon == nil || !strings.HasPrefix(key, nativeIO+" ") {
			continue
		}
		if line := refusal(known.daemon.output()); line != "" {
			return noted{"refused", errors.New(line)}
		}
	}
	return nil
}

// refusal finds what clonefs says in its log then: of the mount as a whole, or of
// an image.
func refusal(log string) string {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "no native I/O") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// end unmounts all.
func (m *mounts) end() error {
	var errs []error
	for _, known := range m.daemons {
		if known.daemon != nil {
			errs = append(errs, known.daemon.end())
		}
	}
	return errors.Join(errs...)
}
