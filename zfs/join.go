package zfs

import (
	"maps"
	"strings"
)

// A fact is what zfs has told of the file system that one mount is of.
type fact struct {
	identity string
	guid     uint64
	absent   bool // zfs knows of no such file system
	doubted  bool // it was told of a mount that looked the same
}

// An entry is a name under which something is mounted.
type entry struct {
	Volume
	known  bool // that there is such a volume, and which
	unsure bool // zfs must be asked
}

// look reads the table of mounts if it has changed, or if it is told to. That it
// could not be read is logged once.
func (s *Source) look(always bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.table.changed()
	if !changed && !always {
		return
	}
	err := s.readTable(changed && s.table.reusesIDs())
	if err != nil && !s.unreadable {
		s.log.Error("what is mounted and unmounted is not seen", "error", err)
	}
	s.unreadable = err != nil
}

// readTable reads the table of mounts. Replaced says that a mount may have been
// replaced by one that looks the same. The lock is held.
func (s *Source) readTable(replaced bool) error {
	table, err := s.table.read()
	if err != nil {
		return err
	}
	s.tracker.update(table, replaced)
	s.crossings = crossings(table)
	facts := make(map[uint64]fact, len(s.facts))
	for _, m := range s.tracker.table {
		if f, ok := s.facts[m.epoch]; ok {
			facts[m.epoch] = f
		} else if f, ok := s.facts[m.doubted]; ok {
			f.doubted = true
			facts[m.epoch] = f
		}
	}
	s.facts = facts
	s.join()
	return nil
}

// join makes the volumes from the mounts and the facts, and says so when they are
// others than before. The lock is held.
func (s *Source) join() {
	volumes := make(map[string]*entry)
	ask := false
	for _, m := range reachable(s.tracker.table) {
		name, ok := s.relative(m.source)
		if !ok {
			continue
		}
		e := s.entry(name, m)
		ask = ask || e.unsure
		// A file system can be mounted in several places; the first one serves.
		if have := volumes[name]; have == nil || !have.known && e.known {
			volumes[name] = e
		}
	}
	if ask {
		signal(s.unsure)
	}
	if !maps.Equal(served(s.volumes), served(volumes)) {
		signal(s.moved)
	}
	s.volumes, s.ways = volumes, waysTo(volumes)
}

// A way is a place that is the beginning of names of volumes.
type way struct {
	known  bool // one of them is known
	unsure bool // zfs must be asked about one
}

// waysTo returns the ways to all volumes, so that a lookup need not look through
// thousands of them.
func waysTo(volumes map[string]*entry) map[string]way {
	ways := make(map[string]way)
	for name, e := range volumes {
		for place := name; place != ""; {
			place = strings.TrimSuffix(place[:strings.LastIndexByte(place, '/')+1], "/")
			have := ways[place]
			ways[place] = way{have.known || e.known, have.unsure || e.unsure}
		}
	}
	return ways
}

// served are the volumes that are known.
func served(entries map[string]*entry) map[string]Volume {
	volumes := make(map[string]Volume, len(entries))
	for name, e := range entries {
		if e.known {
			volumes[name] = e.Volume
		}
	}
	return volumes
}

// entry makes the entry of one mount.
func (s *Source) entry(name string, m tracked) *entry {
	f, told := s.facts[m.epoch]
	return &entry{
		Volume: Volume{Name: name, Dir: m.point, Identity: f.identity, ReadOnly: m.readOnly, Device: m.device, Instance: f.guid},
		known:  told && !f.absent,
		unsure: !told || f.doubted,
	}
}

// relative is a dataset's name relative to the source's.
func (s *Source) relative(dataset string) (string, bool) {
	if dataset == s.dataset {
		return "", true
	}
	return strings.CutPrefix(dataset, s.dataset+"/")
}

// mounted returns the epochs of the file systems at and below the source's dataset
// that are mounted, with the datasets' names.
func (s *Source) mounted() map[uint64]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[uint64]string)
	for _, m := range s.tracker.table {
		if _, ok := s.relative(m.source); ok && m.isZFS() {
			names[m.epoch] = m.source
		}
	}
	return names
}

// learn takes over what zfs told of the file systems that were mounted before it
// was asked. Of a mount that is new since, or has another name, it is not known
// which file system zfs meant.
func (s *Source) learn(told []Dataset, before map[uint64]string) {
	byName := make(map[string]Dataset, len(told))
	for _, dataset := range told {
		byName[dataset.Name] = dataset
	}
	s.look(false)
	now := s.mounted()
	s.mu.Lock()
	defer s.mu.Unlock()
	for epoch, name := range before {
		if now[epoch] == name {
			dataset, ok := byName[name]
			s.facts[epoch] = fact{identity: dataset.Identity, guid: dataset.GUID, absent: !ok}
		}
	}
	s.join()
}
