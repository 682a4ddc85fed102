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
	c := newClones(t)
	c.run("clonefs", "unmount", c.at)
	c.mount(append([]string{"--manage", "--template=" + c.dataset(snapshot)}, flags...)...)
	return c
}

// requireRefused requires an errno, and that the log tells why.
func (c *clones) requireRefused(err error, errno syscall.Errno, reason string) {
	c.t.Helper()
	require.ErrorIs(c.t, err, errno)
	log, err := os.ReadFile(c.log)
	require.NoError(c.t, err)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	require.Contains(c.t, lines[len(lines)-1], reason)
}

// place is where a volume is on the mount.
func (c *clones) place(name string) string { return filepath.Join(c.at, name) }

func TestDirectoriesAtTheTopAreClones(t *testing.T) {
	c := newManaged(t)
	names := []string{"job-7", "job 8", " lead", ".dot", "A:c_d-e.f:", "-dash"}
	for _, name := range names {
		require.NoError(t, os.Mkdir(c.place(name), 0o755), "%q", name)
		c.requireOwn(name)
		require.Equal(t, c.dataset(snapshot), c.zfs("get", "-Hp", "-o", "value", "origin", c.dataset("ci/"+name)))
	}
	c.requireListed("", names...)

	before := c.uuid(c.disk("job-7"))
	require.NoError(t, os.Rename(c.place("job-7"), c.place("job-9")))
	c.requireGone("job-7")
	require.Equal(t, before, c.uuid(c.disk("job-9")))
	require.Equal(t, c.dataset("ci/job-9"), c.zfs("list", "-H", "-o", "name", c.dataset("ci/job-9")))

	for _, name := range append(names[1:], "job-9") {
		require.NoError(t, syscall.Rmdir(c.place(name)), "%q", name)
		c.requireGone(name)
	}
	require.Equal(t, c.dataset("ci"), c.zfs("list", "-H", "-r", "-o", "name", c.dataset("ci")))
	c.requireListed("")
}

func TestWhatMustNotBeManagedIsRefused(t *testing.T) {
	c := newManaged(t)
	c.zfs("create", c.dataset("ci/own"))
	c.zfs("snapshot", c.dataset("golden@v2"))
	c.clone("golden@v2", "ci/other")
	for _, name := range []string{"job-1", "snapped", "parent"} {
		c.job(name)
	}
	c.zfs("snapshot", c.dataset("ci/snapped@s"))
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

	c.zfs("create", "-o", "canmount=off", c.dataset("ci/hidden"))
	c.requireRefused(os.Mkdir(c.place("hidden"), 0o755), syscall.EEXIST, "ci/hidden")
	c.zfs("set", "mountpoint=none", c.dataset("ci"))
	c.requireRefused(os.Mkdir(c.place("unmounted"), 0o755), syscall.EIO, "has not mounted it")
	require.Error(t, exec.Command("zfs", "list", c.dataset("ci/unmounted")).Run(), "what cannot be used is destroyed again")
	c.zfs("inherit", "mountpoint", c.dataset("ci"))

	c.zfs("destroy", c.dataset("ci/other"))
	c.requireOwn("job-1", "snapped", "parent", "parent/child")
}

func TestAVolumeInUseIsNotDestroyed(t *testing.T) {
	c := newManaged(t)
	require.NoError(t, os.Mkdir(c.place("job-1"), 0o755))
	file, err := os.Open(c.disk("job-1"))
	require.NoError(t, err)
	c.requireRefused(syscall.Rmdir(c.place("job-1")), syscall.EBUSY, fmt.Sprintf("pid %d", os.Getpid()))
	c.requireRefused(os.Rename(c.place("job-1"), c.place("job-2")), syscall.EBUSY, "job-1/disk.vdi")
	out, err := exec.Command("clonefs", "destroy", c.dataset("ci/job-1")).CombinedOutput()
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
		c.dataset("golden@none"): "there is no snapshot",
		c.dataset("golden"):      "no snapshot's name",
		c.dataset("golden@%"):    "no snapshot's name",
	} {
		out, err := exec.Command("clonefs", "mount", "--manage", "--template="+template, c.dataset("ci"), at).CombinedOutput()
		require.Error(t, err, template)
		require.Contains(t, string(out), says)
	}
}

// requireNone requires that there is no clone.
func (c *clones) requireNone() {
	c.t.Helper()
	require.Equal(c.t, c.dataset("ci"), c.zfs("list", "-H", "-r", "-o", "name", c.dataset("ci")))
}

// refused runs clonefs, which must fail, and returns what it says.
func (c *clones) refused(args ...string) string {
	c.t.Helper()
	out, err := exec.Command("clonefs", args...).CombinedOutput()
	require.Error(c.t, err, "clonefs %v: %s", args, out)
	return string(out)
}

func TestManyClonesAreMadeByOneCommand(t *testing.T) {
	c := newClones(t)
	began := time.Now()
	out := c.run("clonefs", "clone", "--count=12", "--identity=ci-%d", "-o", "quota=100M", c.dataset(snapshot), c.dataset("ci/job-%03d"))
	t.Logf("%v a clone", time.Since(began)/12)
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 12)
	for i, line := range lines {
		name := fmt.Sprintf("job-%03d", i+1)
		require.Equal(t, c.place(name), line)
		c.requirePresented(name, fmt.Sprintf("name:ci-%d", i+1))
	}
	require.Equal(t, "104857600", c.zfs("get", "-Hp", "-o", "value", "quota", c.dataset("ci/job-007")))

	var made struct {
		Source string
		Clones []struct {
			Name, Identity string
			Paths          []string
		}
	}
	out = c.run("clonefs", "clone", "--json", c.dataset(snapshot), c.dataset("ci/a"), c.dataset("elsewhere"))
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Equal(t, "zfs:"+c.dataset(snapshot), made.Source)
	require.Equal(t, []string{c.place("a")}, made.Clones[0].Paths)
	require.Equal(t, "zfs:"+c.guid("ci/a"), made.Clones[0].Identity)
	require.Equal(t, c.dataset("elsewhere"), made.Clones[1].Name)
	require.Empty(t, made.Clones[1].Paths)
}

func TestClonesAreMadeAllOrNone(t *testing.T) {
	c := newClones(t)
	s := c.dataset(snapshot)
	c.zfs("create", c.dataset("ci/job-3"))
	require.Contains(t, c.refused("clone", "--count=4", s, c.dataset("ci/job-%d")), "there is a dataset "+c.dataset("ci/job-3")+" already")
	c.zfs("destroy", c.dataset("ci/job-3"))
	c.requireNone()

	require.Contains(t, c.refused("clone", s, c.dataset("ci/a"), c.dataset("ci/b"), c.dataset("none/c")), "zfs create "+c.dataset("none"))
	c.requireNone()
	require.Contains(t, c.refused("clone", "-o", "quota=nonsense", s, c.dataset("ci/a")), "nonsense")
	require.Contains(t, c.refused("clone", s, c.dataset("ci/a@b")), "not a dataset's name")
	require.Contains(t, c.refused("clone", c.dataset("golden@none"), c.dataset("ci/a")), "there is no snapshot")
	c.requireNone()

	command := exec.Command("clonefs", "clone", "--count=500", s, c.dataset("ci/job-%d"))
	var out strings.Builder
	command.Stdout, command.Stderr = &out, &out
	require.NoError(t, command.Start())
	require.Eventually(t, func() bool {
		_, err := os.Stat(c.disk("job-3"))
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, command.Process.Signal(os.Interrupt))
	require.Error(t, command.Wait())
	require.Contains(t, out.String(), "interrupted\nno clone was made: ")
	c.requireNone()
}

func TestOnlyClonesAreDestroyedAndOnlyWhatIsNamed(t *testing.T) {
	c := newClones(t)
	for _, name := range []string{"one", "two", "snapped", "parent"} {
		c.job(name)
	}
	c.job("parent/child")
	c.zfs("snapshot", c.dataset("ci/snapped@s"))
	c.clone("ci/snapped@s", "further")

	require.Equal(t, c.dataset("ci/one")+"\n"+c.dataset("ci/two"), c.run("clonefs", "destroy", c.dataset("ci/one"), "zfs:"+c.dataset("ci/two")))
	c.requireGone("one", "two")
	require.Contains(t, c.refused("destroy", c.dataset("golden")), "no clone of anything")
	require.Contains(t, c.refused("destroy", c.dataset(snapshot)), "is a snapshot")
	require.Contains(t, c.refused("destroy", c.dataset("ci/parent")), "stays:\n  "+c.dataset("ci/parent/child"))
	require.Contains(t, c.refused("destroy", c.dataset("ci/snapped")), "stays:\n  "+c.dataset("ci/snapped@s"))
	require.Contains(t, c.refused("destroy", "--recursive", c.dataset("ci/snapped")), "with --clones they are destroyed")
	require.Contains(t, c.refused("destroy", c.dataset("ci/none")), "there is no dataset")
	require.Contains(t, c.refused("destroy", c.dataset("ci/snapped@%")), "is a snapshot")
	c.requireOwn("snapped", "parent", "parent/child")
	c.zfs("list", c.dataset("ci/snapped@s"))

	destroyed := strings.Split(c.run("clonefs", "destroy", "-r", c.dataset("ci/parent")), "\n")
	require.ElementsMatch(t, []string{c.dataset("ci/parent"), c.dataset("ci/parent/child")}, destroyed)
	destroyed = strings.Split(c.run("clonefs", "destroy", "-R", c.dataset("ci/snapped")), "\n")
	require.ElementsMatch(t, []string{c.dataset("ci/snapped"), c.dataset("ci/snapped@s"), c.dataset("further")}, destroyed)
	c.requireNone()
	require.Equal(t, c.dataset("ci"), c.run("clonefs", "destroy", "--original", c.dataset("ci")))
}

func TestAFullPoolIsSaidToBeFull(t *testing.T) {
	c := newManaged(t)
	c.zfs("create", c.dataset("reserve"))
	available := c.zfs("get", "-Hp", "-o", "value", "available", c.dataset("reserve"))
	c.zfs("set", "reservation="+available, c.dataset("reserve"))
	c.requireRefused(os.Mkdir(c.place("job-1"), 0o755), syscall.ENOSPC, "out of space")
	require.Contains(t, c.refused("clone", c.dataset(snapshot), c.dataset("ci/job-1")), "out of space")
	c.requireNone()
}
