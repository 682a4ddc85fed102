package zfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestASourceTellsWhatIsMountedAtAndBelowItsDataset(t *testing.T) {
	m := newMachine()
	m.clone("tank", 1)
	m.clone("tank/ci", 2)
	m.clone("tank/ci/job 1", 3)
	m.create("tank/ci/off", 4)
	m.clone("tank/ci/off/child", 5)
	m.clone("tank/cinema", 6)
	s, _ := start(t, m, calm())
	require.Equal(t, []string{"", "job 1", "off/child"}, namesOf(s))

	v, known := s.Volume("job 1")
	require.True(t, known)
	require.Equal(t, Volume{Name: "job 1", Dir: "/tank/ci/job 1", Identity: "zfs:3", Device: 12, Instance: 3}, v)
	for _, name := range []string{"off", "nema", "job", "tank/ci", "job 1/", "/"} {
		_, known := s.Volume(name)
		require.False(t, known, name)
	}
}

func TestASourceTellsWhichPlacesLeadToVolumes(t *testing.T) {
	m := newMachine()
	m.create("tank/ci", 1)
	m.create("tank/ci/a", 2)
	m.clone("tank/ci/a/b/c", 3)
	s, _ := start(t, m, calm())
	for place, leads := range map[string]bool{"": true, "a": true, "a/b": true, "a/b/c": false, "a/": false, "b": false, "a/b/": false} {
		require.Equal(t, leads, s.Leads(place), "%q", place)
	}
}

func TestARecordedMachineIsServed(t *testing.T) {
	eachRecording(t, func(t *testing.T, recording string) {
		m := newMachine()
		m.table = recordedTable(t, recording)
		list, err := parseDatasets(recordedList(t, recording, "-r", source), recordedEnd)
		require.NoError(t, err)
		for _, dataset := range list {
			m.datasets[dataset.Name] = dataset
		}
		s, err := newSource(t.Context(), source, m, m, nil, calm(), nil)
		require.NoError(t, err)
		require.Len(t, s.Volumes(), len(list)-2, "all but the one that is not mounted and the one that is never mounted")
		for _, name := range []string{"", "job 2", " lead", "trail ", " ", ".zfs", "...", "off/child", "legacy", "moved"} {
			v, known := s.Volume(name)
			require.True(t, known, "%q", name)
			require.Regexp(t, `^zfs:\d+$`, v.Identity)
		}
		require.Equal(t, "/tmp/elsewhere", volume(t, s, "moved").Dir)
		require.Equal(t, `/tmp/by hand\`, volume(t, s, "legacy").Dir)
		require.True(t, volume(t, s, "ro").ReadOnly)
		require.True(t, volume(t, s, "legacy-ro").ReadOnly)
		require.Equal(t, "name:ci-7", volume(t, s, "pinned").Identity)
		require.Equal(t, IdentityOriginal, volume(t, s, "as it is").Identity)
	})
}

func volume(t *testing.T, s *Source, name string) Volume {
	t.Helper()
	v, known := s.Volume(name)
	require.True(t, known, "%q", name)
	return v
}

func TestASourceThatZFSDoesNotKnowIsAnError(t *testing.T) {
	m := newMachine()
	m.failing = &Error{Kind: ErrNotExist}
	_, err := newSource(t.Context(), "tank/ci", m, m, nil, calm(), nil)
	require.ErrorIs(t, err, ErrNotExist)
}

func TestANewCloneIsThereAtTheFirstQuestion(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s, _ := start(t, m, calm())
	changes := watch(t, s)
	for i := range 20 {
		name := fmt.Sprintf("job-%d", i)
		m.clone("tank/ci/"+name, uint64(100+i))
		require.Equal(t, fmt.Sprintf("zfs:%d", 100+i), identityOf(s, name))
	}
	eventually(t, func() bool { return changes() > 0 })
	require.NotContains(t, m.questions(), "all", "all were listed for one clone")
}

func TestANewCloneIsListedWithoutAQuestion(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s, _ := start(t, m, calm())
	changes := watch(t, s)
	m.clone("tank/ci/a/b", 7)
	eventually(t, func() bool { return changes() > 0 })
	require.Equal(t, []string{"", "a/b"}, namesOf(s))
	require.True(t, s.Leads("a"))
}

func TestAPlaceThatLeadsToANewCloneIsThereAtTheFirstQuestion(t *testing.T) {
	m := newMachine()
	m.create("tank/ci", 1)
	s, _ := start(t, m, calm())
	watch(t, s)
	m.clone("tank/ci/a/b", 7)
	require.True(t, s.Leads("a"))
}

func TestManyNewClonesAreAskedOfInOneListing(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s, _ := start(t, m, calm())
	for i := range describeMost + 1 {
		m.clone(fmt.Sprintf("tank/ci/job-%d", i), uint64(100+i))
	}
	changes := watch(t, s)
	eventually(t, func() bool { return changes() > 0 && len(s.Volumes()) == describeMost+2 })
	require.Contains(t, m.questions(), "all")
}

func TestWhatIsUnmountedIsGoneAtTheFirstQuestion(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	s, _ := start(t, m, calm())
	m.unmount("tank/ci/a")
	_, known := s.Volume("a")
	require.False(t, known)
	require.Equal(t, []string{""}, namesOf(s))
}

func TestARecreatedCloneIsNeverServedUnderItsOldIdentity(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	s, _ := start(t, m, calm())
	watch(t, s)
	for guid := uint64(100); guid < 150; guid++ {
		before := volume(t, s, "a")
		m.change(func() { // so fast that nobody looks in between
			last := len(m.table) - 1
			m.table = append(m.table[:last:last], m.table[last])
			m.datasets["tank/ci/a"] = Dataset{Name: "tank/ci/a", GUID: guid, Identity: fmt.Sprintf("zfs:%d", guid)}
			m.happened()
		})
		after := volume(t, s, "a")
		require.Equal(t, before.Device, after.Device)
		require.Equal(t, fmt.Sprintf("zfs:%d", guid), after.Identity)
	}
}

func TestACloneThatIsRecreatedWhileZFSIsAskedIsAskedOfAgain(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s, _ := start(t, m, calm())
	m.clone("tank/ci/a", 2)
	m.change(func() {
		m.during = func() {
			m.destroy("tank/ci/a")
			m.clone("tank/ci/a", 3)
		}
	})
	watch(t, s)
	require.Equal(t, "zfs:3", identityOf(s, "a"))
}

func TestWhatWasNotReplacedIsNotAskedOf(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	m.clone("other", 3)
	s, _ := start(t, m, calm())
	watch(t, s)
	m.clone("other/b", 4)
	require.Equal(t, "zfs:2", identityOf(s, "a"))
	require.Empty(t, m.questions())
}

func TestARenamedDatasetIsSeenWithoutAnEvent(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/old", 2)
	times := calm()
	times.look = time.Millisecond
	s, _ := start(t, m, times)
	changes := watch(t, s)
	m.change(func() { m.table[1].source = "tank/ci/new" })
	eventually(t, func() bool { return changes() > 0 })
	require.Equal(t, "zfs:2", identityOf(s, "new"))
	require.Equal(t, []string{"", "new"}, namesOf(s))
	require.Empty(t, m.questions(), "its mount is still the same")
}

func TestAPinnedIdentityIsSeenByTheSlowRefresh(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	times := calm()
	times.refresh = time.Millisecond
	s, _ := start(t, m, times)
	changes := watch(t, s)
	m.change(func() { m.datasets["tank/ci"] = Dataset{Name: "tank/ci", GUID: 1, Identity: "name:x"} })
	eventually(t, func() bool { return changes() > 0 })
	require.Equal(t, "name:x", identityOf(s, ""))
}

func TestAnExportedPoolComesBack(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	times := calm()
	times.refresh = time.Millisecond
	s, log := start(t, m, times)
	watch(t, s)
	m.unmount("tank/ci/a")
	m.unmount("tank/ci")
	m.change(func() { m.failing = &Error{Kind: ErrNotExist} })
	m.questions()
	eventually(t, func() bool { return len(m.questions()) > 1 })
	require.Empty(t, s.Volumes())
	m.change(func() { m.failing = nil })
	m.mount("tank/ci")
	m.mount("tank/ci/a")
	require.Equal(t, "zfs:2", identityOf(s, "a"))
	require.Empty(t, log.of(slog.LevelWarn))
}

func TestWhatZFSDoesNotKnowIsAskedOfOnce(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s, _ := start(t, m, calm())
	watch(t, s)
	m.mount("tank/ci/ghost")
	for range 3 {
		_, known := s.Volume("ghost")
		require.False(t, known)
	}
	asked := slices.DeleteFunc(m.questions(), func(question string) bool { return !strings.Contains(question, "ghost") })
	require.Len(t, asked, 1)
}

func TestADatasetThatIsMountedTwiceIsOneVolume(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	m.change(func() {
		again := m.table[1]
		again.id, again.point = 50, "/elsewhere"
		m.table = append(m.table, again)
	})
	s, _ := start(t, m, calm())
	require.Equal(t, []string{"", "a"}, namesOf(s))
	require.Equal(t, "/tank/ci/a", volume(t, s, "a").Dir)
}

func TestNobodyWaitsForAZFSThatFailed(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	s, log := start(t, m, calm())
	watch(t, s)
	m.change(func() { m.failing = errors.New("broken") })
	m.clone("tank/ci/b", 3)
	require.Empty(t, identityOf(s, "b"), "who waited is told")
	began := time.Now()
	for range 100 {
		require.Empty(t, identityOf(s, "b"))
		require.Equal(t, "zfs:2", identityOf(s, "a"), "what is known is served")
	}
	require.Less(t, time.Since(began), time.Second)
	require.Len(t, log.of(slog.LevelWarn), 1)
}

func TestAZFSThatFailedIsAskedAgainWithAGrowingPause(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	times := calm()
	times.retry, times.retries = 20*time.Millisecond, 80*time.Millisecond
	s, log := start(t, m, times)
	watch(t, s)
	m.change(func() { m.failing = errors.New("broken") })
	m.clone("tank/ci/b", 3)
	time.Sleep(400 * time.Millisecond)
	asked := len(m.questions())
	require.Greater(t, asked, 2)
	require.Less(t, asked, 10, "20, 40, 80, 80, ... milliseconds")
	require.Len(t, log.of(slog.LevelWarn), 1, "logged once")

	m.change(func() { m.failing = nil })
	eventually(t, func() bool { return identityOf(s, "b") == "zfs:3" })
	eventually(t, func() bool { return len(log.of(slog.LevelInfo)) == 1 })
	m.change(func() { m.failing = errors.New("broken again") })
	m.clone("tank/ci/c", 4)
	eventually(t, func() bool { return len(log.of(slog.LevelWarn)) == 2 })
}

func TestNobodyWaitsForAZFSThatHangs(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/a", 2)
	times := calm()
	times.wait = 50 * time.Millisecond
	s, _ := start(t, m, times)
	watch(t, s)
	hanging := make(chan struct{})
	m.change(func() { m.hanging = hanging })
	m.clone("tank/ci/b", 3)
	began := time.Now()
	require.Empty(t, identityOf(s, "b"))
	require.Less(t, time.Since(began), time.Second, "the first waits no longer than it may")
	eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.silent })
	began = time.Now()
	for range 20 {
		require.Empty(t, identityOf(s, "b"))
	}
	require.Less(t, time.Since(began), times.wait, "the others do not wait at all")
	require.Equal(t, "zfs:2", identityOf(s, "a"))
	m.unmount("tank/ci/a")
	require.Empty(t, identityOf(s, "a"), "what is unmounted is seen all the same")

	m.change(func() { m.hanging = nil })
	close(hanging)
	eventually(t, func() bool { return identityOf(s, "b") == "zfs:3" })
}

func TestADoubtedVolumeIsServedWhenZFSCannotTell(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s, _ := start(t, m, calm())
	watch(t, s)
	m.change(func() {
		m.failing = errors.New("broken")
		m.happened()
	})
	require.Equal(t, "zfs:1", identityOf(s, ""))
	require.Equal(t, []string{""}, namesOf(s))
}

func TestWithoutWatchingNobodyWaits(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s, _ := start(t, m, calm())
	m.clone("tank/ci/b", 3)
	require.Empty(t, identityOf(s, "b"))
}

func TestWatchingEndsWithItsContextWhileZFSIsAsked(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	s, _ := start(t, m, calm())
	m.change(func() { m.hanging = make(chan struct{}) })
	m.clone("tank/ci/b", 3)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.NoError(t, s.Watch(ctx, func() {}))
}

// A table that cannot be watched.
type blindTable struct{ *machine }

func (blindTable) watch(context.Context, time.Duration, func()) error { return errors.New("no table") }

func TestWatchingReturnsWhyItCannot(t *testing.T) {
	m := newMachine()
	m.create("tank/ci", 1)
	s, err := newSource(t.Context(), "tank/ci", m, blindTable{m}, nil, calm(), nil)
	require.NoError(t, err)
	require.EqualError(t, s.Watch(t.Context(), func() {}), "no table")
}
