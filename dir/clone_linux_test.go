package dir

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var copying = CloneOptions{Copy: true}

func TestCloneKeepsAllThatAFileHas(t *testing.T) {
	source, path := newSource(t)
	template := makeTemplate(t)
	before := archive(t, template)

	require.NoError(t, source.Clone(t.Context(), template, "job 1", copying))
	require.Equal(t, []string{"job 1"}, entries(t, path))
	requireSameTree(t, template, path+"/job 1")
	require.True(t, bytes.Equal(before, archive(t, template)), "the template is as it was")

	var s, same unix.Stat_t
	require.NoError(t, unix.Lstat(path+"/job 1/sparse", &s))
	require.Less(t, s.Blocks, int64(1024), "512-byte blocks of a file that is all hole")
	require.NoError(t, unix.Lstat(path+"/job 1/disk.vdi", &s))
	require.NoError(t, unix.Lstat(path+"/job 1/directory/second name", &same))
	require.Equal(t, s.Ino, same.Ino, "hard links stay together")
	require.EqualValues(t, 2, s.Nlink)
}

func TestCloneTakesNothingFromTheSourceDirectory(t *testing.T) {
	source, path := newSource(t)
	template := makeTemplate(t)
	require.NoError(t, unix.Setxattr(path, "system.posix_acl_default", []byte(anACL), 0))
	require.NoError(t, os.Chmod(path, os.ModeSetgid|0o755))
	require.NoError(t, source.Clone(t.Context(), template, "job-1", copying))
	requireSameTree(t, template, path+"/job-1")
}

func TestCloneTakesAVolumeForATemplate(t *testing.T) {
	source, path := newSource(t)
	require.NoError(t, source.Clone(t.Context(), makeTemplate(t), "golden", copying))
	require.NoError(t, source.Clone(t.Context(), "golden", "job-1", copying))
	requireSameTree(t, path+"/golden", path+"/job-1")
	require.Equal(t, path+"/golden", markOf(t, path+"/job-1"), "not the template's own template")
}

func markOf(t testing.TB, path string) string {
	t.Helper()
	volume, err := os.Open(path)
	require.NoError(t, err)
	defer volume.Close()
	template, err := readMark(volume)
	require.NoError(t, err)
	return template
}

func TestCloneRefuses(t *testing.T) {
	source, path := newSource(t)
	template := makeTemplate(t)
	mkdir(t, path, "job-1")
	require.NoError(t, os.WriteFile(path+"/file", nil, 0o600))
	require.NoError(t, os.Symlink("nowhere", path+"/link"))
	for name, test := range map[string]struct {
		template, name string
		want           error
	}{
		"the name of a volume":             {template, "job-1", syscall.EEXIST},
		"the name of a file":               {template, "file", syscall.EEXIST},
		"the name of a link to nothing":    {template, "link", syscall.EEXIST},
		"a name with a slash":              {template, "job-1/x", syscall.EINVAL},
		"no name":                          {template, "", syscall.EINVAL},
		"the name of the parent":           {template, "..", syscall.EINVAL},
		"a name that is hidden":            {template, hiddenPrefix + "x", syscall.EINVAL},
		"a name that is too long":          {template, strings.Repeat("x", 300), syscall.ENAMETOOLONG},
		"a template that is not there":     {template + "-not", "new", syscall.ENOENT},
		"a template that is a file":        {template + "/disk.vdi", "new", syscall.ENOTDIR},
		"a template by a relative path":    {"job-1/../job-1", "new", syscall.EINVAL},
		"no template":                      {"", "new", syscall.EINVAL},
		"a template that holds the source": {filepath.Dir(path), "new", syscall.EINVAL},
		"the source as a template":         {path, "new", syscall.EINVAL},
		"the root as a template":           {"/", "new", syscall.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, source.Clone(t.Context(), test.template, test.name, copying), test.want)
			require.Equal(t, []string{"file", "job-1", "link"}, entries(t, path))
		})
	}
}

func TestCloneSaysWhereBlocksCannotBeShared(t *testing.T) {
	source, path := newSource(t)
	mountTmpfs(t, path)
	mkdir(t, path, "golden")
	require.NoError(t, os.WriteFile(path+"/golden/disk.vdi", []byte("content"), 0o600))

	err := source.Clone(t.Context(), "golden", "job-1", CloneOptions{})
	require.ErrorIs(t, err, ErrNoReflink)
	require.ErrorIs(t, err, syscall.EOPNOTSUPP)
	require.ErrorContains(t, err, "--copy")
	require.ErrorContains(t, err, "golden/disk.vdi")
	var errno syscall.Errno
	require.ErrorAs(t, err, &errno)
	require.Equal(t, syscall.EOPNOTSUPP, errno, "what a client of a mount gets")
	require.Equal(t, []string{"golden"}, entries(t, path))
	require.NoError(t, source.Clone(t.Context(), "golden", "job-1", copying))
}

func TestCloneThatFailsLeavesNothing(t *testing.T) {
	source, path := newSource(t)
	template := makeTemplate(t)
	mountTmpfs(t, template+"/directory/empty")
	err := source.Clone(t.Context(), template, "job-1", copying)
	require.ErrorIs(t, err, syscall.EXDEV)
	require.ErrorContains(t, err, "mounted at "+template+"/directory/empty")
	require.Empty(t, entries(t, path))
}

// A doneAfter is a context that is done when it has been asked n times.
type doneAfter struct {
	context.Context
	n *int
}

func (c doneAfter) Err() error {
	if *c.n--; *c.n < 0 {
		return context.Canceled
	}
	return nil
}

func TestCloneThatIsInterruptedLeavesNothing(t *testing.T) {
	source, path := newSource(t)
	template := makeTemplate(t)
	asked := 0
	for done := false; !done; asked++ {
		n := asked
		err := source.Clone(doneAfter{t.Context(), &n}, template, "job-1", copying)
		if done = err == nil; !done {
			require.ErrorIs(t, err, syscall.EINTR)
			require.ErrorIs(t, err, context.Canceled)
			require.Empty(t, entries(t, path), "interrupted at the look number %d", asked)
		}
	}
	require.Greater(t, asked, 10, "at every entry, at the least")
}

// TestCloneAppearsAsAWhole looks at the source while clones are made of a
// template whose last entry is not there before all others.
func TestCloneAppearsAsAWhole(t *testing.T) {
	source, path := newSource(t)
	template := makeTemplate(t)
	want := archive(t, template)
	done := make(chan error)
	go func() { done <- source.Clone(t.Context(), template, "job-1", copying) }()
	for looking := true; looking; {
		_, before := source.Volume("job-1")
		select {
		case err := <-done:
			require.NoError(t, err)
			looking = false
		default:
			require.Subset(t, []string{"", "job-1"}, names(source.Volumes()), "no volume but the clone ever appears")
		}
		if before {
			require.True(t, bytes.Equal(want, archive(t, path+"/job-1")))
		}
	}
	_, ok := source.Volume("job-1")
	require.True(t, ok)
}

func TestHiddenDirectoriesAreNoVolumes(t *testing.T) {
	source, path := newSource(t)
	mkdir(t, path, hiddenPrefix+"x")
	require.Equal(t, []string{""}, names(source.Volumes()))
	_, ok := source.Volume(hiddenPrefix + "x")
	require.False(t, ok)
}

func TestWhatAKilledProcessLeftIsRemoved(t *testing.T) {
	for name, next := range map[string]func(*Source) error{
		"by the next clone": func(s *Source) error {
			return s.Clone(context.Background(), "golden", "job-1", copying)
		},
		"by the next destroy": func(s *Source) error { return s.Destroy(context.Background(), "golden") },
	} {
		t.Run(name, func(t *testing.T) {
			source, path := newSource(t)
			mkdir(t, path, "golden")
			require.NoError(t, os.Rename(makeTemplate(t), path+"/"+hiddenPrefix+"left"))
			top, err := os.Open(path)
			require.NoError(t, err)
			defer top.Close()
			live, err := makeHidden(top)
			require.NoError(t, err)

			require.NoError(t, next(source))
			require.Contains(t, entries(t, path), live.name, "a process works on it")
			require.NotContains(t, entries(t, path), hiddenPrefix+"left")
			unlock(live.dir)
			require.ErrorIs(t, source.Destroy(t.Context(), "nothing"), syscall.ENOENT)
			require.NotContains(t, entries(t, path), live.name, "no process works on it any more")
		})
	}
}

func TestManyClonesAtOnce(t *testing.T) {
	source, path := newSource(t)
	template := makeTemplate(t)
	const clones = 16
	results := make(chan error, 2*clones)
	for i := range 2 * clones { // two want each name
		go func() { results <- source.Clone(t.Context(), template, "job-"+string(rune('a'+i/2)), copying) }()
	}
	taken := 0
	for range 2 * clones {
		if err := <-results; err != nil {
			require.ErrorIs(t, err, syscall.EEXIST)
			taken++
		}
	}
	require.Equal(t, clones, taken)
	require.Len(t, entries(t, path), clones)
	for _, name := range entries(t, path) {
		requireSameTree(t, template, filepath.Join(path, name))
	}
}
