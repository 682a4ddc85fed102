package zfs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A machine is a kernel's table of mounts and a zfs that knows datasets.
type machine struct {
	mu       sync.Mutex
	table    []mount
	pending  bool          // an event that changed has not told
	event    chan struct{} // an event that watch has not told
	datasets map[string]Dataset
	stamps   map[string]int64 // by mount point, of what changed its snapshots last
	failing  error
	hanging  chan struct{} // zfs does not answer until it is closed; nil: it answers
	during   func()        // is called once, while zfs is asked
	asked    []string
}

func newMachine() *machine {
	return &machine{event: make(chan struct{}, 1), datasets: make(map[string]Dataset), stamps: make(map[string]int64)}
}

// create makes a dataset without mounting it.
func (m *machine) create(name string, guid uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.datasets[name] = Dataset{Name: name, GUID: guid, Identity: fmt.Sprintf("zfs:%d", guid)}
}

// mount mounts a dataset and uses the lowest free mount ID, as Linux does.
func (m *machine) mount(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := 10
	for slices.ContainsFunc(m.table, func(other mount) bool { return other.id == id }) {
		id++
	}
	m.table = append(m.table, mount{id: id, parent: 1, device: uint64(id), root: "/", point: "/" + name, fsType: "zfs", source: name})
	m.happened()
}

func (m *machine) unmount(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table = slices.DeleteFunc(slices.Clone(m.table), func(other mount) bool { return other.source == name })
	m.happened()
}

func (m *machine) clone(name string, guid uint64) {
	m.create(name, guid)
	m.mount(name)
}

func (m *machine) destroy(name string) {
	m.unmount(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.datasets, name)
}

// happened makes an event. The lock is held.
func (m *machine) happened() {
	m.pending = true
	signal(m.event)
}

// change changes the machine without an event.
func (m *machine) change(how func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	how()
}

func (m *machine) read() ([]mount, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.table), nil
}

func (m *machine) changed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	pending := m.pending
	m.pending = false
	return pending
}

func (m *machine) reusesIDs() bool { return true }

func (m *machine) watch(ctx context.Context, most time.Duration, look func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.event:
		case <-time.After(most):
		}
		look()
	}
}

func (m *machine) close() error { return nil }

func (m *machine) List(ctx context.Context, dataset string) ([]Dataset, error) {
	return m.answer(ctx, "all", func(name string) bool {
		return !strings.Contains(name, "@") && (name == dataset || strings.HasPrefix(name, dataset+"/"))
	})
}

func (m *machine) Describe(ctx context.Context, names ...string) ([]Dataset, error) {
	return m.answer(ctx, strings.Join(names, " "), func(name string) bool { return slices.Contains(names, name) })
}

func (m *machine) ListSnapshots(ctx context.Context, dataset string) ([]Dataset, error) {
	return m.answer(ctx, "all snapshots", func(name string) bool {
		return strings.HasPrefix(name, dataset+"@") || strings.HasPrefix(name, dataset+"/") && strings.Contains(name, "@")
	})
}

func (m *machine) DescribeSnapshots(ctx context.Context, names ...string) ([]Dataset, error) {
	return m.answer(ctx, "snapshots of "+strings.Join(names, " "), func(name string) bool {
		of, _, is := strings.Cut(name, "@")
		return is && slices.Contains(names, of)
	})
}

// snapshot makes a snapshot, "tank/ci@a", or with 0 for its GUID destroys it.
func (m *machine) snapshot(name string, guid uint64) {
	of, _, _ := strings.Cut(name, "@")
	m.change(func() {
		m.stamps["/"+of]++
		delete(m.datasets, name)
		if guid != 0 {
			m.datasets[name] = Dataset{Name: name, GUID: guid, Identity: fmt.Sprintf("zfs:%d", guid)}
		}
	})
}

func (m *machine) peek(of Volume, snapshot string) (stamp int64, there bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there = m.datasets[of.Dir[1:]+"@"+snapshot]
	return m.stamps[of.Dir], there
}

// answer is zfs.
func (m *machine) answer(ctx context.Context, question string, wanted func(string) bool) ([]Dataset, error) {
	m.mu.Lock()
	m.asked = append(m.asked, question)
	hanging, during := m.hanging, m.during
	m.during = nil
	var told []Dataset
	for name, dataset := range m.datasets {
		if wanted(name) {
			told = append(told, dataset)
		}
	}
	err := m.failing
	m.mu.Unlock()
	if during != nil {
		during()
	}
	if hanging != nil {
		select {
		case <-hanging:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return told, err
}

// questions returns what zfs has been asked since the last call.
func (m *machine) questions() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked := m.asked
	m.asked = nil
	return asked
}

// calm is a timing in which nothing happens by itself during a test.
func calm() timing {
	return timing{wait: 10 * time.Second, answer: time.Minute, look: time.Hour, refresh: time.Hour, retry: time.Hour, retries: time.Hour}
}

// A record is what was logged.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) Enabled(context.Context, slog.Level) bool { return true }
func (r *record) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *record) WithGroup(string) slog.Handler            { return r }

func (r *record) Handle(_ context.Context, entry slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, entry.Level.String()+" "+entry.Message)
	return nil
}

// of returns what was logged at a level.
func (r *record) of(level slog.Level) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, line := range r.lines {
		if strings.HasPrefix(line, level.String()+" ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// start opens the source tank/ci on a machine, without snapshots and watching.
func start(t *testing.T, m *machine, times timing) (*Source, *record) {
	t.Helper()
	return startWith(t, m, times, nil)
}

// startWith is start, with snapshots if there is a way to look at them.
func startWith(t *testing.T, m *machine, times timing, peek peeker) (*Source, *record) {
	t.Helper()
	log := new(record)
	s, err := newSource(t.Context(), "tank/ci", m, m, slog.New(log), times, peek)
	require.NoError(t, err)
	m.questions()
	return s, log
}

// watch watches a source until the test ends, and counts the changes.
func watch(t *testing.T, s *Source) (changes func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	count := 0
	ended := make(chan error)
	go func() {
		ended <- s.Watch(ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			count++
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.asking
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 5*time.Second, time.Millisecond)
}

// identity returns the identity that a source tells for a volume, "" for none.
func identityOf(s *Source, name string) string {
	v, _ := s.Volume(name)
	return v.Identity
}

// names returns the volumes of a source, sorted.
func namesOf(s *Source) []string {
	var names []string
	for _, v := range s.Volumes() {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	return names
}
