package openzfs

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/openzfs/pool"
	"github.com/clonefs/clonefs/zfs"
)

// A watched source is a zfs.Source that is kept up to date.
type watchedSource struct {
	*zfs.Source
	changes atomic.Int64
}

// watch watches a dataset of a pool until the test ends.
func watch(t *testing.T, dataset string) *watchedSource {
	t.Helper()
	command, err := zfs.FindCommand()
	require.NoError(t, err)
	source, err := zfs.NewSource(t.Context(), dataset, command, slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	s := &watchedSource{Source: source}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Watch(ctx, func() { s.changes.Add(1) }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, s.Close())
	})
	return s
}

// identity is the identity that a source tells at once, "" for no volume.
func (s *watchedSource) identity(name string) string {
	v, _ := s.Volume(name)
	return v.Identity
}

// requireVolume checks a volume against the machine.
func requireVolume(t *testing.T, s *watchedSource, p *pool.Pool, top, name string) {
	t.Helper()
	v, known := s.Volume(name)
	require.True(t, known, "%q", name)
	require.Equal(t, "zfs:"+p.GUID(filepath.Join(top, name)), v.Identity, "%q", name)
	var stat unix.Stat_t
	require.NoError(t, unix.Stat(v.Dir, &stat), "%q", name)
	require.Equal(t, stat.Dev, v.Device, "%q", name)
}

func TestTheSourceFollowsWhatHappensToDatasets(t *testing.T) {
	p := pool.New(t)
	p.ZFS("create", p.Dataset("ci"))
	p.ZFS("create", p.Dataset("golden"))
	p.ZFS("snapshot", p.Dataset("golden@v1"))
	s := watch(t, p.Dataset("ci"))
	requireVolume(t, s, p, "ci", "")

	names := []string{"job-1", "job 2", " lead", "trail ", " ", "-dash", ".dot", "...", "a..b", ".zfs", "012", "A:c_d-e.f:"}
	for _, name := range names {
		p.Clone("golden@v1", "ci/"+name)
		requireVolume(t, s, p, "ci", name)
	}
	require.Eventually(t, func() bool { return len(s.Volumes()) == len(names)+1 }, time.Second, time.Millisecond)

	t.Run("a renamed clone keeps its identity", func(t *testing.T) {
		before := s.identity("job-1")
		p.ZFS("rename", p.Dataset("ci/job-1"), p.Dataset("ci/job-3"))
		require.Empty(t, s.identity("job-1"))
		require.Equal(t, before, s.identity("job-3"))
		p.ZFS("rename", p.Dataset("ci/job-3"), p.Dataset("ci/job-1"))
		require.Equal(t, before, s.identity("job-1"))
	})
	t.Run("a promoted clone keeps its identity", func(t *testing.T) {
		before := s.identity("job 2")
		p.ZFS("promote", p.Dataset("ci/job 2"))
		require.Equal(t, before, s.identity("job 2"))
		p.ZFS("promote", p.Dataset("golden"))
		requireVolume(t, s, p, "ci", "job 2")
	})
	t.Run("a recreated clone has another identity", func(t *testing.T) {
		p.Clone("golden@v1", "ci/again")
		for range 3 {
			before := s.identity("again")
			p.ZFS("destroy", p.Dataset("ci/again"))
			p.Clone("golden@v1", "ci/again")
			require.NotEqual(t, before, s.identity("again"))
			requireVolume(t, s, p, "ci", "again")
		}
	})
	t.Run("a clone that is unmounted goes, and comes back mounted elsewhere", func(t *testing.T) {
		before := s.identity("job-1")
		p.ZFS("unmount", p.Dataset("ci/job-1"))
		require.Empty(t, s.identity("job-1"))
		p.ZFS("set", "mountpoint="+filepath.Join(p.Dir, "else where"), p.Dataset("ci/job-1"))
		p.Run("sh", "-c", "zfs mount '"+p.Dataset("ci/job-1")+"' || true")
		require.Equal(t, before, s.identity("job-1"))
		requireVolume(t, s, p, "ci", "job-1")
	})
	t.Run("a clone mounted by hand is renamed without being mounted anew", func(t *testing.T) {
		p.Clone("golden@v1", "ci/legacy", "-o", "mountpoint=legacy")
		require.Empty(t, s.identity("legacy"))
		at := t.TempDir()
		p.Run("mount", "-t", "zfs", p.Dataset("ci/legacy"), at)
		defer p.Run("umount", at)
		requireVolume(t, s, p, "ci", "legacy")
		before := s.identity("legacy")
		p.ZFS("rename", p.Dataset("ci/legacy"), p.Dataset("ci/renamed"))
		require.Eventually(t, func() bool { return s.identity("renamed") == before }, 2*time.Second, time.Millisecond)
		require.Empty(t, s.identity("legacy"))
	})
	t.Run("a read-only clone is read-only", func(t *testing.T) {
		p.Clone("golden@v1", "ci/ro", "-o", "readonly=on")
		v, _ := s.Volume("ro")
		require.True(t, v.ReadOnly)
		p.ZFS("set", "readonly=off", p.Dataset("ci/ro"))
		v, _ = s.Volume("ro")
		require.False(t, v.ReadOnly)
	})
	t.Run("children of a parent that is never mounted are there", func(t *testing.T) {
		p.ZFS("create", "-o", "canmount=off", p.Dataset("ci/off"))
		require.False(t, s.Leads("off"))
		p.Clone("golden@v1", "ci/off/child")
		require.True(t, s.Leads("off"))
		requireVolume(t, s, p, "ci", "off/child")
		require.Empty(t, s.identity("off"))
	})
	t.Run("a file system that another lies over is not served", func(t *testing.T) {
		p.Clone("golden@v1", "ci/under")
		p.ZFS("create", "-o", "mountpoint=legacy", p.Dataset("over"))
		at := filepath.Join(p.Dir, "ci", "under")
		p.Run("mount", "-t", "zfs", p.Dataset("over"), at)
		require.Empty(t, s.identity("under"))
		p.Run("umount", at)
		requireVolume(t, s, p, "ci", "under")
	})
	t.Run("the source keeps nothing busy", func(t *testing.T) {
		for _, name := range []string{"job 2", " ", ".zfs"} {
			p.ZFS("unmount", p.Dataset("ci/"+name))
			p.ZFS("mount", p.Dataset("ci/"+name))
			requireVolume(t, s, p, "ci", name)
		}
	})
	t.Run("an exported pool comes back with the same identities", func(t *testing.T) {
		before := s.identity("job 2")
		p.Export()
		require.Empty(t, s.Volumes())
		p.Import()
		require.Equal(t, before, s.identity("job 2"))
		require.Eventually(t, func() bool { return len(s.Volumes()) > len(names) }, 2*time.Second, time.Millisecond)
	})
	require.Positive(t, s.changes.Load())
}

func TestAPinnedIdentityIsReadFromTheDatasetItself(t *testing.T) {
	p := pool.New(t)
	p.ZFS("create", "-o", zfs.IdentityProperty+"=pinned", p.Dataset("ci"))
	p.ZFS("create", p.Dataset("ci/inherits"))
	p.ZFS("create", "-o", zfs.IdentityProperty+"="+zfs.IdentityOriginal, p.Dataset("ci/original"))
	s := watch(t, p.Dataset("ci"))
	require.Equal(t, "name:pinned", s.identity(""))
	require.Equal(t, "zfs:"+p.GUID("ci/inherits"), s.identity("inherits"))
	require.Equal(t, zfs.IdentityOriginal, s.identity("original"))
}

func TestErrorsOfRealZFSAreRecognised(t *testing.T) {
	p := pool.New(t)
	p.ZFS("create", "-V", "1M", p.Dataset("volume"))
	command, err := zfs.FindCommand()
	require.NoError(t, err)
	for name, want := range map[string]error{"none": zfs.ErrNotExist, "volume": zfs.ErrNotMountable, "a*b": zfs.ErrBadName, "end/": zfs.ErrBadName} {
		_, err := zfs.NewSource(t.Context(), p.Dataset(name), command, nil)
		require.ErrorIs(t, err, want, name)
	}
	_, err = zfs.NewSource(t.Context(), "no-such-pool", command, nil)
	require.ErrorIs(t, err, zfs.ErrNotExist)
}

func TestTheTestsLeaveNoPoolBehind(t *testing.T) {
	var name string
	t.Run("a test with a pool", func(t *testing.T) { name = pool.New(t).Name })
	_, err := os.Stat(filepath.Join("/proc/spl/kstat/zfs", name))
	require.ErrorIs(t, err, os.ErrNotExist)
}
