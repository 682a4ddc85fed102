package zfs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// NewSnapshotSource is NewSource for a source whose volumes are also the snapshots
// of its file systems: read-only, and named as the file system's volume with "@"
// and the snapshot's name behind it. A snapshot that was made or destroyed is seen
// when it is asked for by its name, and in Volumes a second later.
//
// A snapshot is served from .zfs/snapshot of its file system, where the kernel
// mounts it when it is used. Mounts of our own in a private place would keep it, and
// a file system that is to be destroyed with its snapshots, busy; those at .zfs
// are unmounted by ZFS itself when they are in the way of destroy, rollback,
// unmount, rename or export, and otherwise after some minutes without use
// (zfs_expire_snapshot of zfs(4)).
func NewSnapshotSource(ctx context.Context, dataset string, lister Lister, log *slog.Logger) (*Source, error) {
	return open(ctx, dataset, lister, log, peek)
}

// controlDir is where a mounted file system has its snapshots.
const controlDir = ".zfs/snapshot"

// taken is what is known of the snapshots of one file system.
type taken struct {
	snapshots map[string]Dataset // by the name behind the "@"
	stamp     int64              // when zfs was asked of them
	due       bool               // zfs must be asked
}

// A peeker looks at the snapshots of a mounted file system, without zfs and without
// mounting one. The stamp is another one after a snapshot was made, destroyed or
// renamed; a promoted clone that is given snapshots keeps it. There says whether
// there is one of this name.
type peeker func(of Volume, snapshot string) (stamp int64, there bool)

// peek is the kernel's word: the directory's modification time.
func peek(of Volume, snapshot string) (stamp int64, there bool) {
	dir := filepath.Join(of.Dir, controlDir)
	var s unix.Stat_t
	if unix.Lstat(dir, &s) != nil || of.Device != 0 && of.Device != uint64(s.Dev) { //nolint:unconvert // not everywhere is it 64 bits
		return 0, false
	}
	stamp = s.Mtim.Nano()
	// lstat(2) does not mount what it looks at.
	return stamp, snapshot != "" && unix.Lstat(filepath.Join(dir, snapshot), &s) == nil
}

// snapshot returns the volume of a snapshot, as Volume does.
func (s *Source) snapshot(name string) (v Volume, known bool) {
	of, short, _ := strings.Cut(name, "@")
	parent, ok := s.Volume(of)
	if !ok {
		return Volume{}, false
	}
	stamp, there := s.peek(parent, short)
	s.settle(func() (unsure bool) {
		have := s.taken[parent.Instance]
		var dataset Dataset
		dataset, known = have.snapshots[short]
		v = snapshotVolume(parent, short, dataset)
		if have.stamp != stamp || known != there {
			have.due = true
			s.taken[parent.Instance] = have
		}
		return have.due
	})
	if !known || !there {
		return Volume{}, false
	}
	return v, true
}

func snapshotVolume(of Volume, short string, dataset Dataset) Volume {
	return Volume{
		Name: of.Name + "@" + short, Dir: of.Dir, Automount: controlDir + "/" + short,
		Identity: dataset.Identity, ReadOnly: true, Device: of.Device, Instance: dataset.GUID,
	}
}

// withSnapshots adds to file systems what is known of their snapshots. The lock is
// held.
func (s *Source) withSnapshots(volumes []Volume) []Volume {
	for _, of := range volumes {
		for short, dataset := range s.taken[of.Instance].snapshots {
			volumes = append(volumes, snapshotVolume(of, short, dataset))
		}
	}
	return volumes
}

// followSnapshots looks for snapshots that come and go until ctx is done.
func (s *Source) followSnapshots(ctx context.Context) {
	for pause := s.times.look; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		s.lookForSnapshots()
		// Looking must not become all that is done.
		pause = max(s.times.look/2, 20*time.Since(began))
	}
}

// lookForSnapshots notes of which file systems zfs must be asked.
func (s *Source) lookForSnapshots() {
	stamps := s.stamps(s.fileSystems())
	s.mu.Lock()
	defer s.mu.Unlock()
	ask := false
	for guid, stamp := range stamps {
		if have, ok := s.taken[guid]; !ok || have.stamp != stamp {
			have.due = true
			s.taken[guid] = have
		}
		ask = ask || s.taken[guid].due
	}
	if ask {
		signal(s.unsure)
	}
}

// fileSystems are the volumes that are no snapshots.
func (s *Source) fileSystems() []Volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(served(s.volumes)))
}

// stamps are the peeker's, by GUID. The lock is not held: where a file system is
// being rolled back, the kernel lets everybody wait.
func (s *Source) stamps(of []Volume) map[uint64]int64 {
	stamps := make(map[uint64]int64, len(of))
	for _, v := range of {
		stamps[v.Instance], _ = s.peek(v, "")
	}
	return stamps
}

// dueSnapshots are the file systems whose snapshots zfs must be asked of.
func (s *Source) dueSnapshots() []Volume {
	return slices.DeleteFunc(s.fileSystems(), func(v Volume) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.taken[v.Instance].due
	})
}

// askSnapshots asks zfs of the snapshots that are due, or of all.
func (s *Source) askSnapshots(ctx context.Context, all bool) error {
	due := s.dueSnapshots()
	if all || len(due) > describeMost {
		all, due = true, s.fileSystems()
	}
	if len(due) == 0 && !all {
		return nil
	}
	stamps := s.stamps(due)
	told, err := s.tellSnapshots(ctx, all, due)
	if err != nil {
		return err
	}
	s.learnSnapshots(told, due, stamps, all)
	return nil
}

func (s *Source) tellSnapshots(ctx context.Context, all bool, of []Volume) ([]Dataset, error) {
	if all {
		told, err := s.lister.ListSnapshots(ctx, s.dataset)
		if errors.Is(err, ErrNotExist) { // as in list
			err = nil
		}
		return told, err
	}
	var names []string
	for _, v := range of {
		names = append(names, s.datasetOf(v.Name))
	}
	slices.Sort(names)
	return s.lister.DescribeSnapshots(ctx, names...)
}

// learnSnapshots takes over what zfs told of these file systems' snapshots. Of a
// file system that is another one now it is not known whose zfs meant.
func (s *Source) learnSnapshots(told []Dataset, of []Volume, stamps map[uint64]int64, all bool) {
	byDataset := make(map[string]map[string]Dataset)
	for _, dataset := range told {
		name, short, _ := strings.Cut(dataset.Name, "@")
		if byDataset[name] == nil {
			byDataset[name] = make(map[string]Dataset)
		}
		byDataset[name][short] = dataset
	}
	s.look(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	learned := s.taken
	if all {
		learned = make(map[uint64]taken) // forgets what is gone
	}
	moved := all && len(learned) != len(s.taken)
	for _, v := range of {
		if now := s.volumes[v.Name]; now == nil || !now.known || now.unsure || now.Instance != v.Instance {
			continue
		}
		fresh := taken{snapshots: byDataset[s.datasetOf(v.Name)], stamp: stamps[v.Instance]}
		moved = moved || !maps.Equal(fresh.snapshots, s.taken[v.Instance].snapshots)
		learned[v.Instance] = fresh
	}
	s.taken = learned
	if moved {
		signal(s.moved)
	}
}
