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
// when it is asked for by its name, or all are asked for.
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
	stamp     int64              // the peeker's, before zfs was asked
	// question is the number of the last question to zfs that there was
	// reason for, answered that of the last one that zfs has answered.
	question, answered uint64
}

func (t taken) due() bool { return t.question > t.answered }

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
	if !ok || short == "." || short == ".." {
		return Volume{}, false
	}
	stamp, there := s.peek(parent, short)
	var question uint64
	s.settle(func() (unsure bool) {
		have := s.taken[parent.Instance]
		var dataset Dataset
		dataset, known = have.snapshots[short]
		v = snapshotVolume(parent, short, dataset)
		if question == 0 && (have.stamp != stamp || known != there) {
			question = s.doubtSnapshots(parent.Instance)
		}
		return there && s.taken[parent.Instance].answered < question
	})
	if !known || !there {
		return Volume{}, false
	}
	return v, true
}

// doubtSnapshots says that zfs must be asked of a file system's snapshots, and
// returns the number of the question. The lock is held.
func (s *Source) doubtSnapshots(guid uint64) (question uint64) {
	have := s.taken[guid]
	s.questions++
	have.question = s.questions
	s.taken[guid] = have
	signal(s.unsure)
	return have.question
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
	// Twice as often as for mounts, which tell. Who lists or looks up does not
	// depend on it, but what the kernel remembers does.
	pause := s.times.look / 2
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		s.lookForSnapshots(s.fileSystems())
		// Looking must not become all that is done.
		pause = max(s.times.look/2, 20*time.Since(began))
	}
}

// settleSnapshots waits, as Volume does, until zfs has told of the snapshots that are
// there now.
func (s *Source) settleSnapshots() {
	questions := s.doubtChanged(s.stamps(s.fileSystems()))
	if len(questions) == 0 {
		return
	}
	s.settle(func() (unsure bool) {
		for guid, question := range questions {
			if have, ok := s.taken[guid]; ok && have.answered < question {
				return true
			}
		}
		return false
	})
}

// doubtChanged doubts what has another stamp than when zfs was asked last, and returns
// the questions. One that zfs is being asked does not do: it may have begun before.
func (s *Source) doubtChanged(stamps map[uint64]int64) (questions map[uint64]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	questions = make(map[uint64]uint64)
	for guid, stamp := range stamps {
		if have, ok := s.taken[guid]; !ok || have.stamp != stamp {
			questions[guid] = s.doubtSnapshots(guid)
		}
	}
	return questions
}

// lookForSnapshots has zfs asked of those file systems whose snapshots are others now.
func (s *Source) lookForSnapshots(in []Volume) {
	stamps := s.stamps(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	for guid, stamp := range stamps {
		if have, ok := s.taken[guid]; !have.due() && (!ok || have.stamp != stamp) {
			s.doubtSnapshots(guid)
		}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []Volume
	for _, e := range s.volumes {
		if e.known && s.taken[e.Instance].due() {
			due = append(due, e.Volume)
		}
	}
	return due
}

// askSnapshots asks zfs of the snapshots that are due, or of all.
func (s *Source) askSnapshots(ctx context.Context, all bool) error {
	of := s.dueSnapshots()
	if all || len(of) > describeMost {
		all, of = true, s.fileSystems()
	}
	question := s.lastQuestion()
	stamps := s.stamps(of)
	told, err := s.tellSnapshots(ctx, all, of)
	if err != nil {
		return err
	}
	s.learnSnapshots(told, of, stamps, question)
	// What came while zfs was asked has waited long enough.
	s.lookForSnapshots(of)
	return nil
}

func (s *Source) lastQuestion() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.questions
}

func (s *Source) tellSnapshots(ctx context.Context, all bool, of []Volume) ([]Dataset, error) {
	switch {
	case all:
		told, err := s.lister.ListSnapshots(ctx, s.dataset)
		if errors.Is(err, ErrNotExist) { // as in list
			err = nil
		}
		return told, err
	case len(of) == 0:
		return nil, nil
	}
	var names []string
	for _, v := range of {
		names = append(names, s.datasetOf(v.Name))
	}
	slices.Sort(names)
	return s.lister.DescribeSnapshots(ctx, names...)
}

// learnSnapshots takes over what zfs told of these file systems' snapshots as the
// answer to all questions up to this one. Of a file system that is another one now
// it is not known whose zfs meant.
func (s *Source) learnSnapshots(told []Dataset, of []Volume, stamps map[uint64]int64, question uint64) {
	byDataset := bySnapshotOf(told)
	s.look(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range of {
		now := s.volumes[v.Name]
		if now == nil || !now.known || now.unsure || now.Instance != v.Instance {
			continue
		}
		have := s.taken[v.Instance]
		before := have.snapshots
		have.snapshots, have.stamp, have.answered = byDataset[s.datasetOf(v.Name)], stamps[v.Instance], question
		s.taken[v.Instance] = have
		if !maps.Equal(before, have.snapshots) {
			signal(s.moved)
		}
	}
	s.forgetSnapshots()
}

// bySnapshotOf sorts snapshots by their file systems' names and their own.
func bySnapshotOf(told []Dataset) map[string]map[string]Dataset {
	sorted := make(map[string]map[string]Dataset)
	for _, dataset := range told {
		name, short, _ := strings.Cut(dataset.Name, "@")
		if sorted[name] == nil {
			sorted[name] = make(map[string]Dataset)
		}
		sorted[name][short] = dataset
	}
	return sorted
}

// forgetSnapshots forgets those of file systems that are not there any more. The
// lock is held.
func (s *Source) forgetSnapshots() {
	there := make(map[uint64]bool, len(s.volumes))
	for _, e := range s.volumes {
		there[e.Instance] = true
	}
	maps.DeleteFunc(s.taken, func(guid uint64, _ taken) bool { return !there[guid] })
}
