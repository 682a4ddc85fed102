package zfs

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Volume is a mounted file system at or below a source's dataset, or a snapshot
// of one.
type Volume struct {
	// Name is the dataset's name relative to the source's, "" for that itself.
	Name string
	// Dir is where it is mounted.
	Dir string
	// Automount is "" for a file system. For a snapshot it is the path below
	// Dir, where the file system is mounted, at which the kernel mounts the
	// snapshot when it is used.
	Automount string
	// Identity says which volume it is; see Dataset.
	Identity string
	// ReadOnly says that it is mounted read-only.
	ReadOnly bool
	// Device is the st_dev of what is in Dir, 0 where that is not known.
	Device uint64
	// Instance is the file system's or snapshot's GUID. It tells a clone from one that was
	// destroyed before and had the same pinned identity.
	Instance uint64
}

// A Lister tells of file systems. Command is one; the errors are as its.
type Lister interface {
	// List returns the file system of this name and all below it.
	List(ctx context.Context, dataset string) ([]Dataset, error)
	// Describe returns those file systems of these names that exist.
	Describe(ctx context.Context, names ...string) ([]Dataset, error)
	// ListSnapshots returns the snapshots of the file system of this name and
	// of all below it.
	ListSnapshots(ctx context.Context, dataset string) ([]Dataset, error)
	// DescribeSnapshots returns the snapshots of those file systems of these
	// names that exist.
	DescribeSnapshots(ctx context.Context, names ...string) ([]Dataset, error)
}

// mountTable is the kernel's table of mounts.
type mountTable interface {
	// read reads the table.
	read() ([]mount, error)
	// changed says whether there may have been a change since it was last
	// called. It costs next to nothing; no two goroutines call it at once.
	changed() bool
	// reusesIDs says whether a new mount can look like one that is gone.
	reusesIDs() bool
	// watch calls look after every change, and at the latest when most has
	// passed, until ctx is done.
	watch(ctx context.Context, most time.Duration, look func()) error
	close() error
}

// A Source knows the volumes of a dataset: every file system at or below it that
// is mounted. It answers from memory. Mounts it sees when they are made; for
// what zfs must tell of a new one a question waits, but only as long as zfs
// answers well. Its methods may be called from several goroutines at once.
type Source struct {
	dataset string
	lister  Lister
	table   mountTable
	log     *slog.Logger
	times   timing
	peek    peeker // nil where snapshots are not wanted

	unsure chan struct{} // a mount is new or doubted: ask zfs
	moved  chan struct{} // the volumes have changed

	mu      sync.Mutex
	tracker tracker
	facts   map[uint64]fact // by the mount's epoch
	volumes map[string]*entry
	ways    map[string]way // places that lead to volumes
	// crossings are what is mounted, by the directory that it is mounted in.
	crossings map[string][]crossing
	taken     map[uint64]taken // by the file system's GUID
	// questions counts the reasons to ask zfs of snapshots.
	questions uint64
	told      chan struct{} // closed, and made anew, when zfs has answered or failed
	asking    bool          // somebody runs who asks zfs
	asked     uint64        // counts questions and answers
	silent    bool          // zfs failed or takes long: nobody waits for it
	warned    bool          // that zfs failed was logged
	// unreadable says that the table of mounts could not be read, and was logged.
	unreadable bool
}

// timing is how long things may take, and how often they are done.
type timing struct {
	wait    time.Duration // a request, for zfs
	answer  time.Duration // zfs
	look    time.Duration // between looks at the table of mounts when nothing happens
	refresh time.Duration // between listings when nothing happens
	retry   time.Duration // after the first failure of zfs; twice as long after the next
	retries time.Duration // the longest between two tries
}

// ordinary is the timing that is used. A rename of a dataset that is mounted
// itself by hand changes the table without an event; hence the look every second.
func ordinary() timing {
	return timing{
		wait:    2 * time.Second,
		answer:  time.Minute,
		look:    time.Second,
		refresh: 30 * time.Second,
		retry:   time.Second,
		retries: time.Minute,
	}
}

// NewSource returns the source of a dataset's volumes. It asks zfs once, and
// returns what is wrong with its answer. The source is kept up to date while Watch
// runs; Close ends its use. A nil logger discards what the user should know.
func NewSource(ctx context.Context, dataset string, lister Lister, log *slog.Logger) (*Source, error) {
	return open(ctx, dataset, lister, log, nil)
}

func open(ctx context.Context, dataset string, lister Lister, log *slog.Logger, peek peeker) (*Source, error) {
	table, err := openTable()
	if err != nil {
		return nil, err
	}
	s, err := newSource(ctx, dataset, lister, table, log, ordinary(), peek)
	if err != nil {
		_ = table.close()
		return nil, err
	}
	return s, nil
}

func newSource(ctx context.Context, dataset string, lister Lister, table mountTable, log *slog.Logger, times timing, peek peeker) (*Source, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Source{
		dataset: dataset,
		lister:  lister,
		table:   table,
		log:     log,
		times:   times,
		peek:    peek,
		unsure:  make(chan struct{}, 1),
		moved:   make(chan struct{}, 1),
		facts:   make(map[uint64]fact),
		taken:   make(map[uint64]taken),
		told:    make(chan struct{}),
	}
	s.mu.Lock()
	err := s.readTable(false)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, times.answer)
	defer cancel()
	// What is mounted while zfs is asked is asked of again, within reason.
	for try := 0; try == 0 || try < 3 && len(s.names()) > 0; try++ {
		before := s.mounted()
		told, err := lister.List(ctx, dataset)
		if err != nil {
			return nil, err
		}
		s.learn(told, before)
	}
	if peek != nil {
		if err := s.askSnapshots(ctx, true); err != nil {
			return nil, err
		}
	}
	select {
	case <-s.moved: // what comes after this is a change
	default:
	}
	return s, nil
}

// Close ends the use of a source on which Watch does not run any more.
func (s *Source) Close() error { return s.table.close() }

// Volumes returns all volumes, in no order. It waits for zfs as Volume does where
// snapshots have come or gone a moment ago.
func (s *Source) Volumes() []Volume {
	s.look(false)
	if s.peek != nil {
		s.settleSnapshots()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.withSnapshots(slices.Collect(maps.Values(served(s.volumes))))
}

// Volume returns the volume of this name, and whether there is one. Where a
// file system has been mounted a moment ago, it waits until zfs has told which
// it is: two seconds at most, and not at all when zfs failed or hung the last
// time.
func (s *Source) Volume(name string) (v Volume, known bool) {
	if s.peek != nil && strings.Contains(name, "@") {
		return s.snapshot(name)
	}
	s.settle(func() (unsure bool) {
		e := s.volumes[name]
		if known = e != nil && e.known; known {
			v = e.Volume
		}
		return e != nil && e.unsure
	})
	if !known {
		return Volume{}, false
	}
	return v, true
}

// Leads says whether there are volumes below a place, which is the beginning of
// their names. It waits as Volume does.
func (s *Source) Leads(place string) (leads bool) {
	s.settle(func() (unsure bool) {
		way := s.ways[place]
		leads = way.known
		return way.unsure && !leads
	})
	return leads
}

// settle looks, with the lock held, and again when zfs has told more, while what it
// sees is unsure and zfs can be waited for.
func (s *Source) settle(see func() (unsure bool)) {
	s.look(false)
	var late <-chan time.Time
	for {
		s.mu.Lock()
		told, wait := s.told, see() && s.asking && !s.silent
		s.mu.Unlock()
		if !wait {
			return
		}
		if late == nil {
			late = time.After(s.times.wait)
		}
		signal(s.unsure)
		select {
		case <-told:
		case <-late:
			return
		}
	}
}

// datasetOf is the full name of a volume's dataset.
func (s *Source) datasetOf(name string) string {
	if name == "" {
		return s.dataset
	}
	return s.dataset + "/" + name
}

// signal makes a channel with room for one say that there is something to do.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// names are what zfs must be asked of, sorted.
func (s *Source) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, e := range s.volumes {
		if e.unsure {
			names = append(names, s.datasetOf(name))
		}
	}
	slices.Sort(names)
	return names
}
