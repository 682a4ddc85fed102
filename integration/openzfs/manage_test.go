package openzfs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newManaged is newClones with a mount whose clients may make clones of the golden
// image.
func newManaged(t *testing.T, flags ...string) *clones {
	t.Helper()
	c := newUnmounted(t)
	c.mount(append([]string{"--manage", "--template=" + c.Dataset(snapshot)}, flags...)...)
	return c
}

// requireRefused requires an errno, and that the log tells why.
func (c *clones) requireRefused(err error, errno syscall.Errno, reason string) {
	c.T.Helper()
	require.ErrorIs(c.T, err, errno)
	log, err := os.ReadFile(c.log)
	require.NoError(c.T, err)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	require.Contains(c.T, lines[len(lines)-1], reason)
}

// place is where a volume is on the mount.
func (c *clones) place(name string) string { return filepath.Join(c.at, name) }

func TestDirectoriesAtTheTopAreClones(t *testing.T) {
	c := newManaged(t)
	names := []string{"job-7", "job 8", " lead", ".dot", "A:c_d-e.f:", "-dash"}
	for _, name := range names {
		require.NoError(t, os.Mkdir(c.place(name), 0o755), "%q", name)
		c.requireOwn(name)
		require.Equal(t, c.Dataset(snapshot), c.ZFS("get", "-Hp", "-o", "value", "origin", c.Dataset("ci/"+name)))
	}
	c.requireListed("", names...)

	before := c.uuid(c.disk("job-7"))
	require.NoError(t, os.Rename(c.place("job-7"), c.place("job-9")))
	c.requireGone("job-7")
	require.Equal(t, before, c.uuid(c.disk("job-9")))
	require.Equal(t, c.Dataset("ci/job-9"), c.ZFS("list", "-H", "-o", "name", c.Dataset("ci/job-9")))

	for _, name := range append(names[1:], "job-9") {
		require.NoError(t, syscall.Rmdir(c.place(name)), "%q", name)
		c.requireGone(name)
	}
	require.Equal(t, c.Dataset("ci"), c.ZFS("list", "-H", "-r", "-o", "name", c.Dataset("ci")))
	c.requireListed("")
}

func TestWhatMustNotBeManagedIsRefused(t *testing.T) {
	c := newManaged(t)
	c.ZFS("create", c.Dataset("ci/own"))
	c.ZFS("snapshot", c.Dataset("golden@v2"))
	c.Clone("golden@v2", "ci/other")
	for _, name := range []string{"job-1", "snapped", "parent"} {
		c.job(name)
	}
	c.ZFS("snapshot", c.Dataset("ci/snapped@s"))
	c.job("parent/child")

	c.requireRefused(syscall.Rmdir(c.place("own")), syscall.EPERM, "no clone of anything")
	c.requireRefused(syscall.Rmdir(c.place("other")), syscall.EPERM, "golden@v2")
	c.requireRefused(syscall.Rmdir(c.place("snapped")), syscall.ENOTEMPTY, "snapped@s")
	c.requireRefused(syscall.Rmdir(c.place("parent")), syscall.ENOTEMPTY, "parent/child")
	c.requireRefused(os.Mkdir(c.place("a*b"), 0o755), syscall.EINVAL, "a*b")
	c.requireRefused(os.Mkdir(c.place("a@b"), 0o755), syscall.EINVAL, "a@b")
	c.requireRefused(os.Mkdir(c.place(strings.Repeat("a", 250)), 0o755), syscall.ENAMETOOLONG, "255")
	require.ErrorIs(t, os.Mkdir(c.place("job-1"), 0o755), syscall.EEXIST)
	require.ErrorIs(t, syscall.Rename(c.place("job-1"), c.place("own")), syscall.EEXIST)
	require.ErrorIs(t, syscall.Rename(c.place("job-1"), c.place("own/in")), syscall.EBUSY)

	c.ZFS("create", "-o", "canmount=off", c.Dataset("ci/hidden"))
	c.requireRefused(os.Mkdir(c.place("hidden"), 0o755), syscall.EEXIST, "ci/hidden")
	c.ZFS("set", "mountpoint=none", c.Dataset("ci"))
	c.requireRefused(os.Mkdir(c.place("unmounted"), 0o755), syscall.EIO, "has not mounted it")
	require.Error(t, exec.Command("zfs", "list", c.Dataset("ci/unmounted")).Run(), "what cannot be used is destroyed again")
	c.ZFS("inherit", "mountpoint", c.Dataset("ci"))

	c.ZFS("destroy", c.Dataset("ci/other"))
	c.requireOwn("job-1", "snapped", "parent", "parent/child")
}

func TestASnapshotIsNotTheClientsToDestroyOrRename(t *testing.T) {
	c := newManaged(t, "--snapshots")
	c.job("job-1")
	c.snapshot("job-1@before")
	c.requireOwn("job-1@before")
	c.requireRefused(syscall.Rmdir(c.place("job-1@before")), syscall.EPERM, "ci/job-1@before is a snapshot")
	c.requireRefused(syscall.Rename(c.place("job-1@before"), c.place("job-2")), syscall.EPERM, "ci/job-1@before is a snapshot")
	c.requireRefused(syscall.Rename(c.place("job-1"), c.place("job-1@after")), syscall.EINVAL, "job-1@after")
	c.requireRefused(syscall.Rmdir(c.place("job-1")), syscall.ENOTEMPTY, "job-1@before")
	c.requireOwn("job-1", "job-1@before")
}

func TestAVolumeInUseIsNotDestroyed(t *testing.T) {
	c := newManaged(t)
	require.NoError(t, os.Mkdir(c.place("job-1"), 0o755))
	file, err := os.Open(c.disk("job-1"))
	require.NoError(t, err)
	c.requireRefused(syscall.Rmdir(c.place("job-1")), syscall.EBUSY, fmt.Sprintf("pid %d", os.Getpid()))
	c.requireRefused(os.Rename(c.place("job-1"), c.place("job-2")), syscall.EBUSY, "job-1/disk.vdi")
	out, err := exec.Command("clonefs", "destroy", c.Dataset("ci/job-1")).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
	require.Contains(t, string(out), fmt.Sprintf("(pid %d): open file job-1/disk.vdi on %s", os.Getpid(), c.at))
	require.NotContains(t, string(out), "clonefs (pid", "the daemon is not who is to be ended")

	require.NoError(t, file.Close())
	require.NoError(t, syscall.Rmdir(c.place("job-1")), "at once after close(2)")
	c.requireGone("job-1")
}

func TestClientsAreRefusedWithoutManage(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	require.ErrorIs(t, os.Mkdir(c.place("job-2"), 0o755), syscall.EPERM)
	require.ErrorIs(t, syscall.Rmdir(c.place("job-1")), syscall.EBUSY)
	require.ErrorIs(t, os.Rename(c.place("job-1"), c.place("job-2")), syscall.EBUSY)
	c.requireOwn("job-1")
}

func TestATemplateMustBeASnapshotOfThePool(t *testing.T) {
	c := newClones(t)
	at := t.TempDir()
	for template, says := range map[string]string{
		c.Dataset("golden@none"): "there is no snapshot",
		c.Dataset("golden"):      "no snapshot's name",
		c.Dataset("golden@%"):    "no snapshot's name",
	} {
		out, err := exec.Command("clonefs", "mount", "--manage", "--template="+template, c.Dataset("ci"), at).CombinedOutput()
		require.Error(t, err, template)
		require.Contains(t, string(out), says)
	}
}

// requireNone requires that there is no clone.
func (c *clones) requireNone() {
	c.T.Helper()
	require.Equal(c.T, c.Dataset("ci"), c.ZFS("list", "-H", "-r", "-o", "name", c.Dataset("ci")))
}

// refused runs clonefs, which must fail, and returns what it says.
func (c *clones) refused(args ...string) string {
	c.T.Helper()
	out, err := exec.Command("clonefs", args...).CombinedOutput()
	require.Error(c.T, err, "clonefs %v: %s", args, out)
	return string(out)
}

func TestManyClonesAreMadeByOneCommand(t *testing.T) {
	c := newClones(t)
	began := time.Now()
	out := c.Run("clonefs", "clone", "--count=12", "--identity=ci-%d", "-o", "quota=100M", c.Dataset(snapshot), c.Dataset("ci/job-%03d"))
	t.Logf("%v a clone", time.Since(began)/12)
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 12)
	for i, line := range lines {
		name := fmt.Sprintf("job-%03d", i+1)
		require.Equal(t, c.place(name), line)
		c.requirePresented(name, fmt.Sprintf("name:ci-%d", i+1))
	}
	require.Equal(t, "104857600", c.ZFS("get", "-Hp", "-o", "value", "quota", c.Dataset("ci/job-007")))

	var made struct {
		Source string
		Clones []struct {
			Name, Identity string
			Paths          []string
		}
	}
	out = c.Run("clonefs", "clone", "--json", c.Dataset(snapshot), c.Dataset("ci/a"), c.Dataset("elsewhere"))
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Equal(t, "zfs:"+c.Dataset(snapshot), made.Source)
	require.Equal(t, []string{c.place("a")}, made.Clones[0].Paths)
	require.Equal(t, "zfs:"+c.GUID("ci/a"), made.Clones[0].Identity)
	require.Equal(t, c.Dataset("elsewhere"), made.Clones[1].Name)
	require.Empty(t, made.Clones[1].Paths)
}

func TestClonesAreMadeAllOrNone(t *testing.T) {
	c := newClones(t)
	s := c.Dataset(snapshot)
	c.ZFS("create", c.Dataset("ci/job-3"))
	require.Contains(t, c.refused("clone", "--count=4", s, c.Dataset("ci/job-%d")), "there is a dataset "+c.Dataset("ci/job-3")+" already")
	c.ZFS("destroy", c.Dataset("ci/job-3"))
	c.requireNone()

	require.Contains(t, c.refused("clone", s, c.Dataset("ci/a"), c.Dataset("ci/b"), c.Dataset("none/c")), "zfs create "+c.Dataset("none"))
	c.requireNone()
	require.Contains(t, c.refused("clone", "-o", "quota=nonsense", s, c.Dataset("ci/a")), "nonsense")
	require.Contains(t, c.refused("clone", s, c.Dataset("ci/a@b")), "not a dataset's name")
	require.Contains(t, c.refused("clone", c.Dataset("golden@none"), c.Dataset("ci/a")), "there is no snapshot")
	c.requireNone()

	command := exec.Command("clonefs", "clone", "--count=500", s, c.Dataset("ci/job-%d"))
	var out strings.Builder
	command.Stdout, command.Stderr = &out, &out
	require.NoError(t, command.Start())
	ended := make(chan error, 1)
	go func() {
		ended <- command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		for range ended { // until it has ended
		}
	})
	require.Eventually(t, func() bool {
		_, err := os.Stat(c.disk("job-3"))
		return err == nil
	}, time.Minute, 100*time.Millisecond)
	require.NoError(t, command.Process.Signal(os.Interrupt))
	require.Error(t, <-ended)
	require.Contains(t, out.String(), "interrupted\nno clone was made: ")
	c.requireNone()
}

func TestOnlyClonesAreDestroyedAndOnlyWhatIsNamed(t *testing.T) {
	c := newClones(t)
	for _, name := range []string{"one", "two", "snapped", "parent"} {
		c.job(name)
	}
	c.job("parent/child")
	c.ZFS("snapshot", c.Dataset("ci/snapped@s"))
	c.Clone("ci/snapped@s", "further")

	require.Equal(t, c.Dataset("ci/one")+"\n"+c.Dataset("ci/two"), c.Run("clonefs", "destroy", c.Dataset("ci/one"), "zfs:"+c.Dataset("ci/two")))
	c.requireGone("one", "two")
	require.Contains(t, c.refused("destroy", c.Dataset("golden")), "no clone of anything")
	require.Contains(t, c.refused("destroy", c.Dataset(snapshot)), "is a snapshot")
	require.Contains(t, c.refused("destroy", c.Dataset("ci/parent")), "stays:\n  "+c.Dataset("ci/parent/child"))
	require.Contains(t, c.refused("destroy", c.Dataset("ci/snapped")), "stays:\n  "+c.Dataset("ci/snapped@s"))
	require.Contains(t, c.refused("destroy", "--recursive", c.Dataset("ci/snapped")), "with --clones they are destroyed")
	require.Contains(t, c.refused("destroy", c.Dataset("ci/none")), "there is no dataset")
	require.Contains(t, c.refused("destroy", c.Dataset("ci/snapped@%")), "is a snapshot")
	c.requireOwn("snapped", "parent", "parent/child")
	c.ZFS("list", c.Dataset("ci/snapped@s"))

	destroyed := strings.Split(c.Run("clonefs", "destroy", "-r", c.Dataset("ci/parent")), "\n")
	require.ElementsMatch(t, []string{c.Dataset("ci/parent"), c.Dataset("ci/parent/child")}, destroyed)
	destroyed = strings.Split(c.Run("clonefs", "destroy", "-R", c.Dataset("ci/snapped")), "\n")
	require.ElementsMatch(t, []string{c.Dataset("ci/snapped"), c.Dataset("ci/snapped@s"), c.Dataset("further")}, destroyed)
	c.requireNone()
	require.Equal(t, c.Dataset("ci"), c.Run("clonefs", "destroy", "--original", c.Dataset("ci")))
}

func TestAFullPoolIsSaidToBeFull(t *testing.T) {
	c := newManaged(t)
	c.ZFS("create", c.Dataset("reserve"))
	available := c.ZFS("get", "-Hp", "-o", "value", "available", c.Dataset("reserve"))
	c.ZFS("set", "reservation="+available, c.Dataset("reserve"))
	c.requireRefused(os.Mkdir(c.place("job-1"), 0o755), syscall.ENOSPC, "out of space")
	require.Contains(t, c.refused("clone", c.Dataset(snapshot), c.Dataset("ci/job-1")), "out of space")
	c.requireNone()
}
