//go:build linux

package vbox

import (
	"strings"

	"github.com/stretchr/testify/require"
)

// A Medium is what VBoxManage says of one in its registry.
type Medium struct {
	UUID     string
	Parent   string // "base" for a base image
	State    string // "created" if it is accessible and nobody has it open
	Type     string
	Location string
	Capacity string
}

// HardDisks returns the registered hard disks by their location. VirtualBox
// looks at each of them for it.
func (s *Session) HardDisks() map[string]Medium {
	s.t.Helper()
	disks := make(map[string]Medium)
	for block := range strings.SplitSeq(s.Manage("list", "hdds"), "\n\n") {
		if m := parseMedium(block); m.UUID != "" {
			disks[m.Location] = m
		}
	}
	return disks
}

// HardDisk returns the hard disk at this path. VirtualBox opens and registers
// it first if it does not know it yet.
func (s *Session) HardDisk(path string) Medium {
	s.t.Helper()
	m := parseMedium(s.Manage("showmediuminfo", "disk", path))
	require.Equal(s.t, path, m.Location)
	return m
}

// parseMedium reads lines of the form "name:   value".
func parseMedium(block string) Medium {
	fields := make(map[string]string)
	for line := range strings.Lines(block) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return Medium{
		UUID:     fields["UUID"],
		Parent:   fields["Parent UUID"],
		State:    fields["State"],
		Type:     fields["Type"],
		Location: fields["Location"],
		Capacity: fields["Capacity"],
	}
}
