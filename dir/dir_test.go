package dir

import (
	iofs "io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
)

// newSource returns a source over a new directory, and its path.
func newSource(t testing.TB) (*Source, string) {
	t.Helper()
	path, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	source, err := New(path, nil)
	require.NoError(t, err)
	return source, path
}

func mkdir(t testing.TB, path ...string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(path...), 0o755))
}

func names(volumes []fs.Volume) []string {
	var names []string
	for _, volume := range volumes {
		names = append(names, volume.Name)
	}
	return names
}

func TestNewRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, test := range map[string]struct {
		path    string
		want    error
		message string
	}{
		"a path where nothing is":     {file + "-not", iofs.ErrNotExist, "does not exist; make it"},
		"a file":                      {file, syscall.ENOTDIR, "is not a directory"},
		"a path that leads by a file": {file + "/sub", syscall.ENOTDIR, "find source directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.path, nil)
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, test.message)
			require.ErrorContains(t, err, test.path)
		})
	}
}

func TestNewResolvesThePathOnce(t *testing.T) {
	_, path := newSource(t)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	t.Chdir(filepath.Dir(link))

	source, err := New("link", nil)
	require.NoError(t, err)
	require.Equal(t, path, source.Path())

	require.NoError(t, os.Remove(link))
	own, ok := source.Volume("")
	require.True(t, ok, "the volumes stay where the link pointed to")
	require.Equal(t, path, own.Dir)
}

func TestVolumesAreTheDirectories(t *testing.T) {
	source, path := newSource(t)
	for _, name := range []string{"job-1", "two words", ".hidden", "ümlaut", "\xff\xfe", "a@b"} {
		mkdir(t, path, name)
	}
	mkdir(t, path, "job-1", "nested")
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	require.NoError(t, os.Symlink("job-1", filepath.Join(path, "link")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(path, "fifo"), 0o600))

	volumes := source.Volumes()
	require.ElementsMatch(t, []string{"", "job-1", "two words", ".hidden", "ümlaut", "\xff\xfe", "a@b"}, names(volumes))
	for _, volume := range volumes {
		looked, ok := source.Volume(volume.Name)
		require.True(t, ok, "%q is listed, so a lookup finds it", volume.Name)
		require.Equal(t, looked, volume)
	}
	require.Contains(t, volumes, fs.Volume{Name: "job-1", Dir: path + "/job-1", Identity: "dir:job-1"})
	require.Contains(t, volumes, fs.Volume{Name: "", Dir: path, Identity: "dir:."})
}

func TestVolumeRefuses(t *testing.T) {
	source, path := newSource(t)
	mkdir(t, path, "job-1")
	mkdir(t, path, "job-1", "nested")
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	require.NoError(t, os.Symlink("job-1", filepath.Join(path, "link")))
	for name, volume := range map[string]string{
		"what is not there":            "job-2",
		"a file":                       "file",
		"a symbolic link":              "link",
		"the source by another name":   ".",
		"the parent of the source":     "..",
		"a directory in a volume":      "job-1/nested",
		"a volume by a detour":         "job-1/../job-1",
		"a volume with a slash before": "/job-1",
		"a volume with a slash behind": "job-1/",
		"a name cut short by a zero":   "job-1\x00",
	} {
		t.Run(name, func(t *testing.T) {
			_, ok := source.Volume(volume)
			require.False(t, ok)
		})
	}
}

func TestVolumesGoWithTheSource(t *testing.T) {
	source, path := newSource(t)
	mkdir(t, path, "job-1")
	require.Len(t, source.Volumes(), 2)

	require.NoError(t, os.Rename(path, path+".away"))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(path+".away")) })
	require.Empty(t, source.Volumes())
	_, ok := source.Volume("")
	require.False(t, ok)

	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.Empty(t, source.Volumes(), "a file took the source's place")
	_, ok = source.Volume("")
	require.False(t, ok)

	require.NoError(t, os.Remove(path))
	mkdir(t, path)
	require.Equal(t, []string{""}, names(source.Volumes()))
}

// TestVolumesStayWhileTheSourceCannotBeRead takes away the process's
// descriptors, which is what a busy daemon meets first.
func TestVolumesStayWhileTheSourceCannotBeRead(t *testing.T) {
	source, path := newSource(t)
	var log logRecorder
	source.logger = log.logger()
	mkdir(t, path, "job-1")
	before := source.Volumes()
	require.Len(t, before, 2)

	restore := withoutDescriptors(t)
	during, again := source.Volumes(), source.Volumes()
	_, found := source.Volume("job-1")
	restore()

	require.Equal(t, before, during)
	require.Equal(t, before, again)
	require.True(t, found, "a lookup needs no descriptor")
	require.Len(t, log.all(), 1, "one fault is logged once")
	require.Contains(t, log.all()[0], "too many open files")

	require.NoError(t, os.Remove(filepath.Join(path, "job-1")))
	require.Equal(t, []string{""}, names(source.Volumes()))
}

func withoutDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	none := limit
	none.Cur = 0
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	restore = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			panic(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

func BenchmarkVolumes10000(b *testing.B) {
	source, path := newSource(b)
	for i := range 10_000 {
		mkdir(b, path, "job-"+strconv.Itoa(i))
	}
	b.ResetTimer()
	for b.Loop() {
		require.Len(b, source.Volumes(), 10_001)
	}
}

func BenchmarkVolume(b *testing.B) {
	source, path := newSource(b)
	mkdir(b, path, "job-1")
	for b.Loop() {
		_, ok := source.Volume("job-1")
		require.True(b, ok)
	}
}
