package openzfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMountKeepsNoDatasetBusy(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	c.ZFS("snapshot", c.Dataset("ci/job-1@now"))
	c.requireOwn("job-1")
	require.NoError(t, os.WriteFile(filepath.Join(c.at, "job-1", "new"), []byte("new"), 0o644))
	c.list("job-1")

	c.ZFS("unmount", c.Dataset("ci/job-1"))
	c.ZFS("mount", c.Dataset("ci/job-1"))
	c.requireOwn("job-1")
	c.ZFS("rollback", c.Dataset("ci/job-1@now"))
	c.requireOwn("job-1")
	c.requireGone("job-1/new")
	c.ZFS("rename", c.Dataset("ci/job-1"), c.Dataset("ci/job-2"))
	c.requireOwn("job-2")
	c.ZFS("destroy", "-r", c.Dataset("ci/job-2"))
	c.requireGone("job-2")
	c.job("job-3")
	c.requireOwn("job-3")
	c.Export()
	c.requireGone("job-3")
}

func TestAnOpenFileKeepsItsDatasetBusyUntilItIsClosed(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	file, err := os.Open(c.disk("job-1"))
	require.NoError(t, err)
	out, err := exec.Command("zfs", "destroy", c.Dataset("ci/job-1")).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "busy")
	require.NoError(t, file.Close())
	c.Eventually("zfs", "destroy", c.Dataset("ci/job-1"))
	c.requireGone("job-1")
}

func TestAWorkingDirectoryOnTheMountKeepsNoDatasetBusy(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	t.Chdir(filepath.Join(c.at, "job-1"))
	c.ZFS("destroy", c.Dataset("ci/job-1"))
	_, err := os.ReadFile("disk.vdi")
	require.Error(t, err)
	require.NoError(t, os.Chdir("/")) // t.Chdir would open the old one
}

func TestARecreatedCloneShowsNothingOfTheOneBefore(t *testing.T) {
	for name, options := range map[string][]string{
		"with an identity of its own": nil,
		"with a pinned identity":      {"-o", "clonefs:identity=pinned"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClones(t)
			identity := func() string {
				if options != nil {
					return "name:pinned"
				}
				return "zfs:" + c.GUID("ci/job-1")
			}
			c.job("job-1", options...)
			c.requirePresented("job-1", identity())
			t.Chdir(filepath.Join(c.at, "job-1"))
			for range 3 {
				require.NoError(t, os.WriteFile(c.disk("job-1"), []byte("what was written here goes with the clone"), 0o644))
				c.Eventually("zfs", "destroy", c.Dataset("ci/job-1"))
				c.job("job-1", options...)
				c.requirePresented("job-1", identity())
				// The directory that it was, which is still the working one,
				// is gone or is the new one's.
				if image, err := os.ReadFile("disk.vdi"); err == nil {
					require.Len(t, image, imageSize)
				}
			}
			require.NoError(t, os.Chdir("/")) // t.Chdir would open the old one
		})
	}
}
