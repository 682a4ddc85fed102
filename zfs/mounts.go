package zfs

import (
	"path"
	"strings"
)

// A mount is one line of the kernel's table of mounts.
type mount struct {
	id, parent int
	device     uint64 // st_dev of what is mounted, 0 where not known
	root       string // the directory of the file system that is mounted, "/" for all of it
	point      string // where it is mounted
	fsType     string
	source     string // a dataset's name
	readOnly   bool
}

// isZFS says whether this is a whole file system of ZFS, and no part or snapshot
// of one.
func (m mount) isZFS() bool {
	return (m.fsType == "zfs" || m.fsType == "fuse.zfs") && m.root == "/" && !strings.Contains(m.source, "@")
}

// isForeignFUSE says whether a process answers for what is mounted, which may be
// this one: to go through it for one of our own requests can wait for ever.
func (m mount) isForeignFUSE() bool {
	return strings.HasPrefix(m.fsType, "fuse") && m.fsType != "fuse.zfs"
}

// reachable returns those mounts of ZFS file systems whose mount points lead to
// them, in the table's order: not those that another mount lies over, and not
// those that are reached through a FUSE mount.
func reachable(table []tracked) []tracked {
	byID := make(map[int]mount, len(table))
	byPoint := make(map[string][]mount, len(table))
	for _, m := range table {
		byID[m.id] = m.mount
		byPoint[m.point] = append(byPoint[m.point], m.mount)
	}
	var seen []tracked
	for _, m := range table {
		if m.isZFS() && leadsTo(m.mount, byID, byPoint) {
			seen = append(seen, m)
		}
	}
	return seen
}

// leadsTo says whether walking to a mount's point ends in the mount. The walk goes
// through the mount's ancestors, and leaves them where another mount has been
// made on one of them, on the way or over it.
func leadsTo(m mount, byID map[int]mount, byPoint map[string][]mount) bool {
	ancestors := map[int]bool{m.id: true}
	for at, ok := byID[m.parent]; ok && !ancestors[at.id]; at, ok = byID[at.parent] {
		if at.isForeignFUSE() {
			return false
		}
		ancestors[at.id] = true
	}
	for dir := m.point; ; dir = path.Dir(dir) {
		for _, other := range byPoint[dir] {
			if ancestors[other.parent] && !ancestors[other.id] {
				return false
			}
		}
		if dir == "/" || dir == "." {
			return true
		}
	}
}
