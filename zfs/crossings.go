package zfs

import "path"

// A crossing is where another file system is mounted in a directory.
type crossing struct {
	name   string
	device uint64
}

// crossings are what is mounted, by the directory that it is mounted in. What is
// mounted over another at the same place comes later.
func crossings(table []mount) map[string][]crossing {
	in := make(map[string][]crossing)
	for _, m := range table {
		dir := path.Dir(m.point)
		in[dir] = append(in[dir], crossing{path.Base(m.point), m.device})
	}
	return in
}

// Crossings returns the names in a directory of a volume at which other file
// systems are mounted: they are no part of the volume. It touches none of them.
// The directory is relative to the volume's root. Of a snapshot it knows none.
func (s *Source) Crossings(volume Volume, dir string) map[string]bool {
	s.look(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.crossings[path.Join(volume.Dir, dir)]
	if len(found) == 0 || volume.Device == 0 || volume.Automount != "" {
		return nil
	}
	names := make(map[string]bool, len(found))
	for _, c := range found {
		names[c.name] = c.device != volume.Device
	}
	return names
}
