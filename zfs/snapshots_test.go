package zfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// withSnapshots opens the source tank/ci with snapshots, and watches it.
func withSnapshots(t *testing.T, m *machine, times timing) *Source {
	t.Helper()
	s, _ := startWith(t, m, times, m.peek)
	watch(t, s)
	return s
}

func TestSnapshotsAreVolumesBesideTheirFileSystems(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/job 1", 2)
	m.create("tank/ci/off", 3)
	m.snapshot("tank/ci@top", 10)
	m.snapshot("tank/ci/job 1@a b", 11)
	m.snapshot("tank/ci/off@a", 12)
	m.snapshot("tank@a", 13)
	s := withSnapshots(t, m, calm())
	require.Equal(t, []string{"", "@top", "job 1", "job 1@a b"}, namesOf(s))
	v := volume(t, s, "job 1@a b")
	require.Equal(t, Volume{
		Name: "job 1@a b", Dir: "/tank/ci/job 1", Automount: ".zfs/snapshot/a b",
		Identity: "zfs:11", ReadOnly: true, Device: volume(t, s, "job 1").Device, Instance: 11,
	}, v)
	require.Contains(t, s.Volumes(), v)
	for _, name := range []string{"off@a", "job 1@", "job 1@.", "job 1@..", "@", "job 1@b", "job@a b"} {
		_, known := s.Volume(name)
		require.False(t, known, "%q", name)
	}
	require.True(t, s.Leads(""))
	require.False(t, s.Leads("job 1"))
}

func TestSnapshotsAreNotAskedOfWhereTheyAreNotWanted(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.snapshot("tank/ci@a", 10)
	times := calm()
	times.look, times.refresh = time.Millisecond, 5*time.Millisecond
	s, _ := start(t, m, times)
	watch(t, s)
	require.Equal(t, []string{""}, namesOf(s))
	_, known := s.Volume("@a")
	require.False(t, known)
	time.Sleep(20 * time.Millisecond)
	for _, question := range m.questions() {
		require.NotContains(t, question, "snapshots")
	}
}

func TestASnapshotComesAndGoesAtTheFirstQuestion(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	s := withSnapshots(t, m, calm())
	for guid := uint64(100); guid < 120; guid++ {
		m.snapshot("tank/ci/a@s", guid)
		require.Equal(t, fmt.Sprintf("zfs:%d", guid), identityOf(s, "a@s"), "made anew")
		require.Equal(t, fmt.Sprintf("zfs:%d", guid), identityOf(s, "a@s"))
	}
	require.Len(t, m.questions(), 20, "one each")
	m.snapshot("tank/ci/a@s", 0)
	_, known := s.Volume("a@s")
	require.False(t, known)
}

func TestSnapshotsThatComeAndGoAreInTheNextListing(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	s := withSnapshots(t, m, calm())
	m.snapshot("tank/ci/a@s", 10)
	require.Equal(t, []string{"", "a", "a@s"}, namesOf(s))
	require.Equal(t, []string{"", "a", "a@s"}, namesOf(s))
	require.Equal(t, []string{"snapshots of tank/ci/a"}, m.questions())
}

func TestASnapshotThatComesWhileZFSIsAskedIsInTheNextListing(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s := withSnapshots(t, m, calm())
	listed := make(chan []string)
	m.change(func() {
		m.during = func() {
			m.snapshot("tank/ci@late", 11)
			go func() { listed <- namesOf(s) }()
			time.Sleep(20 * time.Millisecond) // for the listing to begin before zfs answers
		}
	})
	m.snapshot("tank/ci@s", 10)
	require.Equal(t, "zfs:10", identityOf(s, "@s"))
	require.Equal(t, []string{"", "@late", "@s"}, <-listed)
}

func TestNobodyIsKeptFromListingByAZFSThatFailed(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s := withSnapshots(t, m, calm())
	m.change(func() { m.failing = errors.New("broken") })
	m.snapshot("tank/ci@new", 12)
	began := time.Now()
	for range 100 {
		require.Equal(t, []string{""}, namesOf(s))
	}
	require.Less(t, time.Since(began), time.Second)
}

func TestSnapshotsThatComeAndGoAreSeenThoughNobodyAsks(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	times := calm()
	times.look = 2 * time.Millisecond
	s, _ := startWith(t, m, times, m.peek)
	changes := watch(t, s)
	change := func(how func()) {
		before := changes()
		how()
		eventually(t, func() bool { return changes() > before })
	}
	change(func() { m.snapshot("tank/ci/a@s", 10) })
	require.Equal(t, []string{"snapshots of tank/ci/a"}, m.questions())
	change(func() { m.snapshot("tank/ci/a@s", 0) })
	m.clone("tank/ci/b", 3)
	change(func() { m.snapshot("tank/ci/b@s", 11) })
	eventually(t, func() bool { return len(namesOf(s)) == 4 })
	m.destroy("tank/ci/b")
	require.Equal(t, []string{"", "a"}, namesOf(s))
}

func TestASnapshotThatComesWhileZFSIsAskedWaitsForNoOtherLook(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	s := withSnapshots(t, m, calm())
	m.change(func() { m.during = func() { m.snapshot("tank/ci/a@late", 11) } })
	m.snapshot("tank/ci/a@s", 10)
	require.Equal(t, "zfs:10", identityOf(s, "a@s"))
	asked := 0
	eventually(t, func() bool { asked += len(m.questions()); return asked == 2 })
	require.Equal(t, []string{"", "a", "a@late", "a@s"}, namesOf(s))
}

func TestASnapshotThatAPromotedCloneWasGivenIsThereAtTheFirstQuestion(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	m.clone("tank/ci/b", 3)
	m.snapshot("tank/ci/a@s", 10)
	times := calm()
	s := withSnapshots(t, m, times)
	m.change(func() { // no stamp is another one
		delete(m.datasets, "tank/ci/a@s")
		m.datasets["tank/ci/b@s"] = Dataset{Name: "tank/ci/b@s", GUID: 10, Identity: "zfs:10"}
	})
	require.Equal(t, "zfs:10", identityOf(s, "b@s"))
	require.Empty(t, identityOf(s, "a@s"))
}

func TestManySnapshotsAreAskedOfInOneListing(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	for i := range describeMost + 1 {
		m.clone(fmt.Sprintf("tank/ci/job-%d", i), uint64(100+i))
	}
	times := calm()
	times.look = 50 * time.Millisecond
	s := withSnapshots(t, m, times)
	for i := range describeMost + 1 {
		m.snapshot(fmt.Sprintf("tank/ci/job-%d@s", i), uint64(1000+i))
	}
	eventually(t, func() bool { return len(s.Volumes()) == 2*describeMost+3 })
	require.LessOrEqual(t, len(m.questions()), 3)
}

func TestNobodyWaitsForSnapshotsOfAZFSThatFailed(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.snapshot("tank/ci@known", 10)
	m.snapshot("tank/ci@leaves", 11)
	s := withSnapshots(t, m, calm())
	m.change(func() { m.failing = errors.New("broken") })
	m.snapshot("tank/ci@new", 12)
	m.snapshot("tank/ci@leaves", 0)
	require.Empty(t, identityOf(s, "@new"), "who waited is told")
	began := time.Now()
	for range 100 {
		require.Empty(t, identityOf(s, "@new"))
		require.Empty(t, identityOf(s, "@leaves"))
		require.Equal(t, "zfs:10", identityOf(s, "@known"), "what is known is served")
	}
	require.Less(t, time.Since(began), time.Second)
}

func TestTheKernelTellsOfSnapshotsByADirectory(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, controlDir, "a"), 0o755))
	stamp, there := peek(Volume{Dir: dir}, "a")
	require.True(t, there)
	_, there = peek(Volume{Dir: dir}, "b")
	require.False(t, there)
	_, there = peek(Volume{Dir: dir}, "")
	require.False(t, there)
	require.NoError(t, os.Chtimes(filepath.Join(dir, controlDir), time.Time{}, time.Unix(1, 0)))
	later, _ := peek(Volume{Dir: dir}, "a")
	require.NotEqual(t, stamp, later)
	_, there = peek(Volume{Dir: dir, Device: 1 << 40}, "a")
	require.False(t, there, "another file system lies there")
}
