package openzfs

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARenamedCloneKeepsItsUUID(t *testing.T) {
	c := newClones(t)
	c.ZFS("create", c.Dataset("ci/group"))
	c.job("group/job-1")
	before := c.uuid(c.disk("group/job-1"))

	c.ZFS("rename", c.Dataset("ci/group/job-1"), c.Dataset("ci/group/job-2"))
	c.requireGone("group/job-1")
	require.Equal(t, before, c.uuid(c.disk("group/job-2")))
	c.requireListed("group", "job-2")

	c.ZFS("rename", c.Dataset("ci/group"), c.Dataset("ci/team"))
	c.requireGone("group")
	require.Equal(t, before, c.uuid(c.disk("team/job-2")))
	c.requireListed("", "team")

	c.ZFS("rename", c.Dataset("ci/team/job-2"), c.Dataset("gone"))
	c.requireGone("team/job-2")
	c.ZFS("rename", c.Dataset("gone"), c.Dataset("ci/back"))
	require.Equal(t, before, c.uuid(c.disk("back")))
}

func TestPromotingACloneChangesNoUUID(t *testing.T) {
	c := newClones(t)
	names := []string{"job-1", "job-2", "job-3"}
	before := make(map[string][16]byte)
	for _, name := range names {
		c.job(name)
		before[name] = c.uuid(c.disk(name))
	}
	c.ZFS("promote", c.Dataset("ci/job-2"))
	c.ZFS("snapshot", c.Dataset("ci/job-2@later"))
	for _, name := range names {
		require.Equal(t, before[name], c.uuid(c.disk(name)), name)
	}
	c.requireOwn(names...)
}

// overwrite changes an image through the mount, behind its header.
func overwrite(t *testing.T, file string) {
	t.Helper()
	image, err := os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = image.WriteAt([]byte("changed"), 4096)
	require.NoError(t, err)
	require.NoError(t, image.Truncate(imageSize+4096))
	require.NoError(t, image.Close())
}

func TestARollbackIsSeenWithTheImageClosedCachedOrOpen(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	c.ZFS("snapshot", c.Dataset("ci/job-1@now"))

	t.Run("closed", func(t *testing.T) {
		overwrite(t, c.disk("job-1"))
		c.Eventually("zfs", "rollback", c.Dataset("ci/job-1@now"))
		c.requireOwn("job-1")
	})
	t.Run("in the page cache", func(t *testing.T) {
		overwrite(t, c.disk("job-1"))
		image, err := os.ReadFile(c.disk("job-1"))
		require.NoError(t, err)
		require.Contains(t, string(image[4096:]), "changed")
		c.Eventually("zfs", "rollback", c.Dataset("ci/job-1@now"))
		c.requireOwn("job-1")
	})
	t.Run("open", func(t *testing.T) {
		overwrite(t, c.disk("job-1"))
		image, err := os.Open(c.disk("job-1"))
		require.NoError(t, err)
		_, err = io.ReadAll(image)
		require.NoError(t, err)
		c.Eventually("zfs", "rollback", c.Dataset("ci/job-1@now"))
		c.requireOwn("job-1")
		require.NoError(t, image.Close())
		c.requireOwn("job-1")
	})
}

func TestTheStoredUUIDSurvivesThatAClientWritesTheHeaderBack(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	image, err := os.OpenFile(c.disk("job-1"), os.O_RDWR, 0)
	require.NoError(t, err)
	header := make([]byte, 512)
	_, err = image.ReadAt(header, 0)
	require.NoError(t, err)
	_, err = image.WriteAt(header, 0)
	require.NoError(t, err)
	require.NoError(t, image.Sync())
	require.NoError(t, image.Close())
	require.Equal(t, storedUUID, c.uuid(c.stored("job-1")))
	c.requireOwn("job-1")
}

func TestAnExportedPoolComesBackWithEveryUUID(t *testing.T) {
	c := newClones(t)
	names := []string{"job-1", "job-2", "job-3"}
	before := make(map[string][16]byte)
	for _, name := range names {
		c.job(name)
		before[name] = c.uuid(c.disk(name))
	}
	for range 2 {
		c.Export()
		c.requireGone(names...)
		require.Empty(t, c.list(""))
		c.Import()
		for _, name := range names {
			require.Equal(t, before[name], c.uuid(c.disk(name)), name)
		}
		c.requireListed("", names...)
	}
}

func TestTheSameUUIDsAreThereAfterAnotherMount(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	before := c.uuid(c.disk("job-1"))
	c.Run("clonefs", "unmount", c.at)
	c.mount()
	require.Equal(t, before, c.uuid(c.disk("job-1")))
}
