package openzfs

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pin sets a clone's identity, which has been mounted last: zfs is asked again of
// such a one when another is mounted, and else every half minute.
func (c *clones) pin(name, identity string) {
	c.T.Helper()
	c.ZFS("set", "clonefs:identity="+identity, c.Dataset("ci/"+name))
	c.job("after-" + identity)
	c.requireOwn("after-" + identity)
}

func TestAnIdentityThatIsPinnedWhileAFileIsOpenCountsWhenTheLastIsClosed(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	own := presentedUUID("zfs:" + c.GUID("ci/job-1"))
	one, err := os.Open(c.disk("job-1"))
	require.NoError(t, err)
	two, err := os.OpenFile(c.disk("job-1"), os.O_RDWR, 0)
	require.NoError(t, err)

	c.pin("job-1", "pinned")
	time.Sleep(time.Second)
	require.Equal(t, own, c.uuid(c.disk("job-1")), "two files are open")
	require.NoError(t, one.Close())
	time.Sleep(100 * time.Millisecond)
	require.Equal(t, own, c.uuid(c.disk("job-1")), "one file is open")
	header := make([]byte, 512)
	_, err = two.ReadAt(header, 0)
	require.NoError(t, err)
	require.Equal(t, own, [16]byte(header[uuidOffset:]))
	_, err = two.WriteAt(header, 0)
	require.NoError(t, err)
	require.NoError(t, two.Close())
	require.Eventually(t, func() bool {
		return c.uuid(c.disk("job-1")) == presentedUUID("name:pinned")
	}, 40*time.Second, 20*time.Millisecond)
	require.Equal(t, storedUUID, c.uuid(c.stored("job-1")))
	c.requirePresented("job-1", "name:pinned")
}

func TestTwoVolumesWithOneIdentityAreServedMarkedAndWarnedOfOnce(t *testing.T) {
	c := newClones(t)
	c.job("job-1", "-o", "clonefs:identity=twin")
	c.job("job-2", "-o", "clonefs:identity=twin")
	c.job("job-3")
	warnings := func() int {
		log, err := os.ReadFile(c.log)
		require.NoError(t, err)
		return strings.Count(string(log), "two volumes have the same identity")
	}
	for range 3 {
		c.requirePresented("job-1", "name:twin")
		c.requirePresented("job-2", "name:twin")
		c.requireListed("", "job-1", "job-2", "job-3")
	}
	require.Eventually(t, func() bool { return warnings() > 0 }, time.Second, 10*time.Millisecond)
	c.ZFS("unmount", c.Dataset("ci/job-2"))
	c.requireGone("job-2/disk.vdi")
	c.ZFS("mount", c.Dataset("ci/job-2"))
	c.requirePresented("job-2", "name:twin")
	c.ZFS("rename", c.Dataset("ci/job-3"), c.Dataset("ci/job-4"))
	c.requireOwn("job-4")
	out := c.Run("clonefs", "ls", c.at)
	require.Contains(t, out, "VirtualBox takes only one of these")
	require.Contains(t, out, "\n  job-1/disk.vdi\n  job-2/disk.vdi")
	require.Equal(t, 1, warnings())
}

func TestAnIdentityThatLooksLikeAnotherDatasetsIsItsOwn(t *testing.T) {
	c := newClones(t)
	victim := c.Dataset("ci/victim")
	c.job("victim")
	for name, identity := range map[string]string{
		"tabs":   "a\tlocal\t",
		"forger": "x\tlocal\n" + victim + "\tguid\t1\t-\n" + victim + "\tclonefs:identity\tstolen\tlocal\n" + victim + "\tclonefs:end-\t-\t-",
	} {
		c.job(name, "-o", "clonefs:identity="+identity)
		c.requirePresented(name, "name:"+identity)
	}
	c.job("later")
	c.requireOwn("later", "victim")
	c.Run("clonefs", "unmount", c.at)
	c.mount()
	c.requireOwn("later", "victim")
	c.requireListed("", "victim", "tabs", "forger", "later")
}
