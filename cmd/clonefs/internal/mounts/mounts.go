// Package mounts reads the system's table of mounts and takes mounts away.
//
// Nothing in it looks at a mount itself: asking a file system about its root
// blocks for as long as its server does, and fails when that is dead.
package mounts

import (
	"errors"
	"path/filepath"
	"strings"
)

// ErrReplaced is why a mount was not taken away: another one is in its place.
var ErrReplaced = errors.New("another mount is there now")

// A Mount is one line of the mount table.
type Mount struct {
	// ID tells mounts apart, and ParentID is the ID of the mount that this
	// one is mounted on; both are 0 where the system has no such numbers.
	ID, ParentID int
	// Device is the st_dev of its files as "major:minor", or "" where the
	// system does not say it.
	Device string
	// Dir is where it is mounted.
	Dir string
	// Type is the file system's type, "fuse.clonefs".
	Type string
	// Source is what is mounted, "dir:/srv/vm".
	Source string
}

// IsCloneFS says whether the mount is one of clonefs.
func (m Mount) IsCloneFS() bool { return m.Type == cloneFSType }

// A Table is the mounts of a system in the order in which it lists them.
type Table []Mount

// At returns the topmost mount on the directory dir, an absolute path. Of
// several on one directory the last was mounted last.
func (t Table) At(dir string) (Mount, bool) {
	for i := len(t) - 1; i >= 0; i-- {
		if t[i].Dir == dir {
			return t[i], true
		}
	}
	return Mount{}, false
}

// Holding returns the mount that the file of this absolute path lies on.
func (t Table) Holding(path string) (Mount, bool) {
	for dir := path; ; dir = filepath.Dir(dir) {
		if m, ok := t.At(dir); ok || dir == "/" {
			return m, ok
		}
	}
}

// CloneFS returns the mounts of clonefs.
func (t Table) CloneFS() Table {
	var ours Table
	for _, m := range t {
		if m.IsCloneFS() {
			ours = append(ours, m)
		}
	}
	return ours
}

// On returns the mounts that lie on m.
func (t Table) On(m Mount) Table {
	var on Table
	for _, other := range t {
		if other.ID != m.ID && isOn(other, m) {
			on = append(on, other)
		}
	}
	return on
}

func isOn(other, m Mount) bool {
	if m.ID != 0 {
		return other.ParentID == m.ID
	}
	return strings.HasPrefix(other.Dir, m.Dir+"/")
}
