package openzfs

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// snapshot makes a snapshot of a clone.
func (c *clones) snapshot(name string) {
	c.T.Helper()
	c.ZFS("snapshot", c.Dataset("ci/"+name))
}

// mountedSnapshots are the snapshots that are mounted.
func (c *clones) mountedSnapshots() []string {
	c.T.Helper()
	table, err := os.ReadFile("/proc/self/mounts")
	require.NoError(c.T, err)
	var mounted []string
	for line := range strings.Lines(string(table)) {
		source, _, _ := strings.Cut(line, " ")
		if name, ok := strings.CutPrefix(source, c.Dataset("ci/")); ok && strings.Contains(name, "@") {
			mounted = append(mounted, name)
		}
	}
	return mounted
}

// nobody runs a program as a user without rights.
func (c *clones) nobody(name string, args ...string) error {
	require.NoError(c.T, os.Chmod(filepath.Dir(c.at), 0o711))
	command := exec.Command(name, args...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestSnapshotsAreVolumesThatAreReadOnly(t *testing.T) {
	c := newClones(t, "--snapshots")
	c.job("job-1")
	c.snapshot("job-1@one")
	c.requireOwn("job-1@one")
	require.NoError(t, os.WriteFile(filepath.Join(c.at, "job-1", "later"), nil, 0o644))
	c.requireGone("job-1@one/later")
	c.snapshot("job-1@a b")
	c.requireOwn("job-1@a b")
	c.snapshot("job-1@...")
	c.requireOwn("job-1@...")
	c.job("group")
	c.job("group/job-2")
	c.snapshot("group/job-2@s")
	c.requireOwn("group/job-2@s")
	require.NoError(t, os.WriteFile(filepath.Join(c.Dir, "ci", "own"), []byte("own"), 0o644))
	c.ZFS("snapshot", c.Dataset("ci@top"))
	require.Contains(t, c.list("@top"), "own")
	c.requireListed("", "job-1", "job-1@one", "job-1@a b", "job-1@...", "group", "@top", "own")
	c.requireListed("group", "disk.vdi", "job-2", "job-2@s")
	c.ZFS("set", "clonefs:identity=pinned", c.Dataset("ci/group/job-2@s"))
	c.job("group/job-3") // what was mounted last is asked of again, and
	c.snapshot("group/job-2@t")
	require.Eventually(t, func() bool {
		return c.uuid(c.disk("group/job-2@s")) == presentedUUID("name:pinned")
	}, 5*time.Second, 20*time.Millisecond)
	c.requireOwn("group/job-2@t")

	_, err := os.OpenFile(c.disk("job-1@one"), os.O_RDWR, 0)
	require.ErrorIs(t, err, unix.EROFS)
	require.ErrorIs(t, os.Remove(c.disk("job-1@one")), unix.EROFS)
	require.ErrorIs(t, os.Mkdir(filepath.Join(c.at, "job-1@one", "new"), 0o755), unix.EROFS)
	require.ErrorIs(t, os.Chmod(filepath.Join(c.at, "job-1@one"), 0o700), unix.EROFS)
	require.Error(t, syscall.Rmdir(filepath.Join(c.at, "job-1@one")))
	for _, name := range []string{"job-1@none", "job-1@", "@", "job-1@.", "job-1@..", "none@one"} {
		c.requireGone(name)
	}
	c.requireOwn("job-1@one")
}

func TestSnapshotsAreNotServedUnasked(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	c.snapshot("job-1@one")
	c.requireGone("job-1@one")
	require.Equal(t, []string{"job-1"}, c.list(""))
	c.Run("clonefs", "unmount", c.at)
	c.mount("-o", "snapshots")
	c.requireOwn("job-1@one")
}

func TestAListingMountsNoSnapshot(t *testing.T) {
	c := newClones(t, "--snapshots", "--allow-other")
	c.job("job-1")
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("job-1@s%d", i))
		c.snapshot(names[i])
	}
	c.requireListed("", append(names, "job-1")...)
	out := c.Run("ls", "-l", c.at)
	require.Contains(t, out, "job-1@s7")
	for _, name := range names {
		var s unix.Stat_t
		require.NoError(t, unix.Lstat(filepath.Join(c.at, name), &s))
		require.Equal(t, uint32(unix.S_IFDIR), s.Mode, "nobody knows yet")
	}
	require.Empty(t, c.mountedSnapshots())

	require.NoError(t, c.nobody("cat", c.disk("job-1@s7")), "any user's access asks for the permissions that are stored")
	require.Equal(t, []string{"job-1@s7"}, c.mountedSnapshots())
	info, err := os.Stat(filepath.Join(c.at, "job-1@s7"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755)|os.ModeDir, info.Mode())
}

func TestASnapshotsPermissionsAreItsOwn(t *testing.T) {
	c := newClones(t, "--snapshots", "--allow-other")
	c.job("job-1")
	top := filepath.Join(c.at, "job-1")
	require.NoError(t, os.Chmod(top, 0o700))
	c.snapshot("job-1@closed")
	require.NoError(t, os.Chmod(top, 0o755))
	c.snapshot("job-1@open")
	for range 2 {
		require.Error(t, c.nobody("ls", top+"@closed"))
		require.Error(t, c.nobody("cat", c.disk("job-1@closed")))
		require.Error(t, c.nobody("sh", "-c", "cd "+top+"@closed && ls"))
		require.NoError(t, c.nobody("ls", top+"@open"))
		require.NoError(t, c.nobody("sh", "-c", "cd "+top+"@open && ls && cat disk.vdi >/dev/null"))
		c.requireOwn("job-1@closed", "job-1@open")
	}
}

func TestSnapshotsComeAndGo(t *testing.T) {
	c := newClones(t, "--snapshots")
	c.job("job-1")
	for range 3 {
		c.snapshot("job-1@s")
		c.requireOwn("job-1@s")
		c.requireListed("", "job-1", "job-1@s")
		t.Chdir(filepath.Join(c.at, "job-1@s"))
		c.ZFS("destroy", c.Dataset("ci/job-1@s"))
		_, err := os.ReadFile("disk.vdi")
		require.Error(t, err)
		require.NoError(t, os.Chdir("/"))
		c.requireGone("job-1@s")
		c.requireListed("", "job-1")
	}
	c.snapshot("job-1@s")
	c.requireListed("", "job-1", "job-1@s")
	before := c.uuid(c.disk("job-1@s"))
	c.ZFS("rename", c.Dataset("ci/job-1@s"), c.Dataset("ci/job-1@t"))
	c.requireGone("job-1@s")
	require.Equal(t, before, c.uuid(c.disk("job-1@t")))
	c.ZFS("rename", c.Dataset("ci/job-1"), c.Dataset("ci/job-2"))
	c.requireGone("job-1@t")
	require.Equal(t, before, c.uuid(c.disk("job-2@t")))
	c.Clone("ci/job-2@t", "ci/job-3")
	c.requireOwn("job-3")
	c.ZFS("promote", c.Dataset("ci/job-3"))
	c.requireGone("job-2@t")
	require.Equal(t, before, c.uuid(c.disk("job-3@t")), "promote gave it away")
}

func TestAMountKeepsNoSnapshotBusy(t *testing.T) {
	c := newClones(t, "--snapshots")
	c.job("job-1")
	c.snapshot("job-1@one")
	c.requireOwn("job-1", "job-1@one")
	require.NotEmpty(t, c.mountedSnapshots())

	c.ZFS("rollback", c.Dataset("ci/job-1@one"))
	c.requireOwn("job-1", "job-1@one")
	c.snapshot("job-1@two")
	c.requireOwn("job-1@two")
	c.ZFS("rollback", "-r", c.Dataset("ci/job-1@one"))
	c.requireGone("job-1@two")
	c.requireOwn("job-1@one")
	c.ZFS("unmount", c.Dataset("ci/job-1"))
	c.requireGone("job-1/disk.vdi", "job-1@one")
	c.ZFS("mount", c.Dataset("ci/job-1"))
	c.requireOwn("job-1@one")
	c.ZFS("destroy", "-r", c.Dataset("ci/job-1"))
	c.requireGone("job-1", "job-1@one")

	c.job("job-1")
	c.snapshot("job-1@one")
	c.requireOwn("job-1@one")
	file, err := os.Open(c.disk("job-1@one"))
	require.NoError(t, err)
	out, err := exec.Command("zfs", "destroy", c.Dataset("ci/job-1@one")).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "busy")
	image, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Len(t, image, imageSize)
	require.NoError(t, file.Close())
	c.Eventually("zfs", "destroy", c.Dataset("ci/job-1@one"))
	c.snapshot("job-1@one")
	c.requireOwn("job-1@one")
	c.Export()
	c.requireGone("job-1@one")
}

func TestASnapshotIsUnmountedWhenNobodyUsesIt(t *testing.T) {
	const expiry = "/sys/module/zfs/parameters/zfs_expire_snapshot"
	before, err := os.ReadFile(expiry)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(expiry, []byte("1"), 0o644))
	defer func() { require.NoError(t, os.WriteFile(expiry, before, 0o644)) }()

	c := newClones(t, "--snapshots")
	c.job("job-1")
	c.snapshot("job-1@one")
	top := filepath.Join(c.at, "job-1@one")
	t.Chdir(top)
	inode := func() (number uint64) {
		var s unix.Stat_t
		require.NoError(t, unix.Stat("disk.vdi", &s))
		return s.Ino
	}
	first := inode()
	file, err := os.Open("disk.vdi")
	require.NoError(t, err)
	time.Sleep(2 * time.Second)
	require.Equal(t, []string{"job-1@one"}, c.mountedSnapshots(), "it is in use")
	require.NoError(t, file.Close())
	require.Eventually(t, func() bool { return len(c.mountedSnapshots()) == 0 }, 10*time.Second, 50*time.Millisecond)
	require.NotEmpty(t, c.Run("ls", "-ld", top))
	require.Empty(t, c.mountedSnapshots(), "its root is known now")
	require.Equal(t, first, inode(), "mounted again, for a process that has stayed there")
	t.Chdir("/")
	c.requireOwn("job-1@one")
}

func TestSnapshotsAreListedByTheProgram(t *testing.T) {
	c := newClones(t, "--snapshots")
	c.job("job-1")
	c.snapshot("job-1@one")
	var list struct {
		Images []struct{ Volume, Identity, Stored, Presented string }
	}
	for target, count := range map[string]int{c.at: 2, "zfs:" + c.Dataset("ci"): 2} {
		require.NoError(t, json.Unmarshal([]byte(c.Run("clonefs", "ls", "--snapshots", "--json", target)), &list))
		require.Len(t, list.Images, count)
		require.Equal(t, "job-1@one", list.Images[1].Volume)
		require.Equal(t, "zfs:"+c.GUID("ci/job-1@one"), list.Images[1].Identity)
		require.Equal(t, list.Images[0].Stored, list.Images[1].Stored)
		require.NotEqual(t, list.Images[0].Presented, list.Images[1].Presented)
	}
	require.NoError(t, json.Unmarshal([]byte(c.Run("clonefs", "ls", "--json", c.at)), &list))
	require.Len(t, list.Images, 1)
}
