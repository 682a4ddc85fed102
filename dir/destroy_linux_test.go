package dir

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
)

func TestDestroyDeletesTheVolumeAndNothingElse(t *testing.T) {
	source, path := newSource(t)
	require.NoError(t, source.Clone(t.Context(), makeTemplate(t), "job-1", copying))
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(outside+"/file", nil, 0o600))
	require.NoError(t, os.Symlink(outside, path+"/job-1/link to outside"))
	require.NoError(t, os.Symlink(outside, path+"/job-1/directory/link to outside"))
	mkdir(t, path, "job-2")

	require.NoError(t, source.Destroy(t.Context(), "job-1"))
	require.Equal(t, []string{"job-2"}, entries(t, path))
	require.Equal(t, []string{"file"}, entries(t, outside))
}

func TestDestroyRefuses(t *testing.T) {
	source, path := newSource(t)
	outside := t.TempDir()
	mkdir(t, path, "job-1")
	mkdir(t, path, "job-1", "nested")
	mkdir(t, path, "mount")
	mountTmpfs(t, path+"/mount")
	mkdir(t, path, "with a mount")
	mkdir(t, path, "with a mount", "below")
	mountTmpfs(t, path+"/with a mount/below")
	require.NoError(t, os.WriteFile(path+"/with a mount/below/file", nil, 0o600))
	require.NoError(t, os.WriteFile(path+"/file", nil, 0o600))
	require.NoError(t, os.Symlink(outside, path+"/link"))
	before := entries(t, path)
	for name, test := range map[string]struct {
		volume string
		want   error
	}{
		"what is not there":            {"job-2", syscall.ENOENT},
		"a file":                       {"file", syscall.ENOTDIR},
		"a link to a directory":        {"link", syscall.ENOTDIR},
		"a directory in a volume":      {"job-1/nested", syscall.EINVAL},
		"the source":                   {".", syscall.EINVAL},
		"the source by no name":        {"", syscall.EINVAL},
		"the parent of the source":     {"..", syscall.EINVAL},
		"a mount point":                {"mount", syscall.EBUSY},
		"what has a mount point in it": {"with a mount", syscall.EBUSY},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, source.Destroy(t.Context(), test.volume), test.want)
			require.Equal(t, before, entries(t, path))
			require.FileExists(t, path+"/with a mount/below/file")
		})
	}
}

func TestDestroyRefusesAVolumeThatHasAFileOpen(t *testing.T) {
	source, path := newSource(t)
	mkdir(t, path, "job-1")
	mkdir(t, path, "job-1", "directory")
	file, err := os.Create(path + "/job-1/directory/disk.vdi")
	require.NoError(t, err)
	err = source.Destroy(t.Context(), "job-1")
	require.ErrorIs(t, err, syscall.EBUSY)
	require.ErrorContains(t, err, "job-1/directory/disk.vdi: a process has it open")
	require.FileExists(t, file.Name())

	time.AfterFunc(closing/4, func() { file.Close() })
	require.NoError(t, source.Destroy(t.Context(), "job-1"), "a file that is about to be closed is waited for")
}

func TestDestroyRefusesATemplateThatIsBeingCloned(t *testing.T) {
	source, path := newSource(t)
	mkdir(t, path, "golden")
	template, err := source.openTemplate("golden")
	require.NoError(t, err)
	require.ErrorIs(t, source.Destroy(t.Context(), "golden"), syscall.EBUSY)
	unlock(template)
	require.NoError(t, source.Destroy(t.Context(), "golden"))
}

func TestDestroyHeedsTheContext(t *testing.T) {
	source, path := newSource(t)
	mkdir(t, path, "job-1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, source.Destroy(ctx, "job-1"), syscall.EINTR)
	require.Equal(t, []string{"job-1"}, entries(t, path))
}

func TestRename(t *testing.T) {
	for name, rename := range map[string]func(top int, name, newName string) error{
		"in one call":                         renameNew,
		"where names can only be reserved":    renameReserved,
		"as the kernel refuses to replace it": renameNoReplace,
	} {
		t.Run(name, func(t *testing.T) {
			_, path := newSource(t)
			mkdir(t, path, "job-1")
			mkdir(t, path, "empty")
			top, err := os.Open(path)
			require.NoError(t, err)
			defer top.Close()
			require.ErrorIs(t, rename(fd(top), "job-1", "empty"), syscall.EEXIST)
			require.ErrorIs(t, rename(fd(top), "job-2", "job-3"), syscall.ENOENT)
			require.NoError(t, rename(fd(top), "job-1", "job-2"))
			require.Equal(t, []string{"empty", "job-2"}, entries(t, path))
		})
	}
}

func TestRenameGivesAVolumeAnotherIdentity(t *testing.T) {
	source, path := newSource(t)
	mkdir(t, path, "job-1")
	require.NoError(t, source.Rename(t.Context(), "job-1", "job-2"))
	volume, ok := source.Volume("job-2")
	require.True(t, ok)
	require.Equal(t, fs.Volume{Name: "job-2", Dir: path + "/job-2", Identity: "dir:job-2"}, volume)
}

func TestRenameRefuses(t *testing.T) {
	source, path := newSource(t)
	mkdir(t, path, "job-1")
	mkdir(t, path, "job-2")
	require.NoError(t, os.WriteFile(path+"/file", nil, 0o600))
	for name, test := range map[string]struct {
		name, newName string
		want          error
	}{
		"a new name that is a volume's": {"job-1", "job-2", syscall.EEXIST},
		"a new name that is a file's":   {"job-1", "file", syscall.EEXIST},
		"a new name in another volume":  {"job-1", "job-2/x", syscall.EINVAL},
		"a new name that is hidden":     {"job-1", hiddenPrefix, syscall.EINVAL},
		"a volume that is not there":    {"job-3", "job-4", syscall.ENOENT},
		"a file":                        {"file", "job-4", syscall.ENOTDIR},
		"the source":                    {"", "job-4", syscall.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, source.Rename(t.Context(), test.name, test.newName), test.want)
			require.Equal(t, []string{"file", "job-1", "job-2"}, entries(t, path))
		})
	}
}
