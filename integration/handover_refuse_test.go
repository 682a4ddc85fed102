//go:build linux

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/faulty"
)

// replace lets another daemon take the mount over, and returns when it is the only one.
func (c *cli) replace(flags ...string) (pid int) {
	c.t.Helper()
	before := c.daemon()
	require.Contains(c.t, c.succeed(append(append([]string{"mount", "--replace", "--log-file", "log"}, flags...), "./src", "mnt")...),
		fmt.Sprint("is taken over from process ", before))
	c.eventually("the daemon ends that had the mount", func() bool { return len(c.daemons()) == 1 && c.daemons()[0] != before })
	return c.daemon()
}

func TestAMountIsNotTakenOverWithFlagsThatItDoesNotHave(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	c.writeImage("other/job-1/disk.vdi")
	pid := c.mount()
	image, err := os.OpenFile(c.path("mnt/job-1/disk.vdi"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer image.Close()
	for flag, says := range map[string]string{
		"--guest-serial=unique": "--guest-serial is keep there, unique here", "--read-only": "--read-only is false there, true here",
		"--allow-other": "--allow-other", "--noexec": "--noexec", "--native-io=qemu": "--native-io is [] there, [qemu] here",
	} {
		c.fail(1, says, "mount", "--replace", "--log-file", "log", flag, "./src", "mnt")
	}
	c.fail(1, "the source is dir:"+c.path("src")+" there, dir:"+c.path("other")+" here", "mount", "--replace", "--log-file", "log", "./other", "mnt")
	require.Equal(t, pid, c.daemon(), "the one that had the mount")
	require.NoError(t, writeBackHeader(image, 1))
	c.replace("--log-level=debug")
	require.NoError(t, writeBackHeader(image, 2))
}

func TestReplaceMountsWhereNothingLivesOnTheMountPoint(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	pid := c.mount("--replace")
	c.signal(pid, syscall.SIGKILL)
	c.awaitEnd()
	r := c.run("mount", "--replace", "--log-file", "log", "./src", "mnt")
	require.Zero(t, r.status, r.stderr)
	require.Contains(t, r.stderr, "clonefs: cleaned "+c.path("mnt"))
	require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))
	c.replace()
}

// Of two that want the mount at once, each has it in turn, or is told that the other has.
func TestTwoThatReplaceADaemonAtOnceLeaveOne(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	c.mount()
	image, err := os.OpenFile(c.path("mnt/job-1/disk.vdi"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer image.Close()
	for range 3 {
		var results [2]result
		var both sync.WaitGroup
		for i := range results {
			both.Go(func() { results[i] = c.run("mount", "--replace", "--log-file", "log", "./src", "mnt") })
		}
		both.Wait()
		require.True(t, results[0].status == 0 || results[1].status == 0, "%+v", results)
		for _, r := range results {
			if r.status != 0 {
				require.Regexp(t, "handed the mount to another process|no daemon of this user offers it", r.stderr)
			}
		}
		c.eventually("one daemon is left", func() bool { return len(c.daemons()) == 1 })
		require.NoError(t, writeBackHeader(image, 1))
	}
}

func TestAMountIsUnmountedRightAfterAHandover(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	c.mount()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(c.path("mnt"), &st))
	c.succeed("mount", "--replace", "--log-file", "log", "./src", "mnt")
	c.succeed("unmount", "mnt")
	require.Empty(t, c.mounted())
	c.awaitEnd()
	require.NoFileExists(t, fmt.Sprintf("/run/clonefs/mount-%d-%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
}

func TestAMountWithManyOpenFilesAndVolumesIsHandedOverUnlessThereIsNoRoom(t *testing.T) {
	requireTool(t, "prlimit")
	files, volumes := 2000, 10_000
	if !isPlainRun() {
		files, volumes = 300, 500
	}
	c := newCLI(t, "volume-0/disk.vdi")
	for i := range volumes {
		require.NoError(t, os.MkdirAll(c.path(fmt.Sprint("src/volume-", i)), 0o755))
	}
	pid := c.mount()
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	for i := range files {
		f, err := os.Create(c.path(fmt.Sprintf("mnt/volume-%d/file", i)))
		require.NoError(t, err)
		open = append(open, f)
	}
	r := c.runAs("prlimit", "--nofile=200", daemon.Binary(t), "mount", "--replace", "--log-file", "log", "./src", "mnt")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, "raise the limit of open files")
	require.Equal(t, pid, c.daemon())
	for i, f := range open {
		_, err := fmt.Fprint(f, i, " ")
		require.NoError(t, err)
	}
	c.replace()
	for i, f := range open {
		_, err := fmt.Fprint(f, i)
		require.NoError(t, err)
		content, err := os.ReadFile(c.path(fmt.Sprintf("src/volume-%d/file", i)))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i, " ", i), string(content))
	}
	require.Len(t, names(t, c.path("mnt")), volumes)
}

// A request that hangs cannot be handed over.
func TestAMountIsServedOnWhereARequestHangs(t *testing.T) {
	requireRoot(t)
	t.Parallel() // it waits for longer than it works
	lower := faulty.Mount(t)
	for _, name := range []string{"vm", "beside"} {
		require.NoError(t, os.Mkdir(filepath.Join(lower.Backing, name), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(lower.Backing, name, "disk.vdi"), realHeader(t), 0o600))
	}
	mount := daemon.Start(t, lower.Dir, t.TempDir())
	t.Cleanup(lower.Heal)
	held, hung := lower.Hold(faulty.Read, 1), make(chan error, 1)
	go func() {
		_, err := os.ReadFile(filepath.Join(mount.Dir, "vm/disk.vdi"))
		hung <- err
	}()
	within(t, held.Arrived)
	_, err := daemon.TryRun(t, "mount", "--replace", "--log-file", filepath.Join(t.TempDir(), "log"), lower.Dir, mount.Dir)
	require.ErrorContains(t, err, "a file system below may hang")
	_, err = os.ReadFile(filepath.Join(mount.Dir, "beside/disk.vdi"))
	require.NoError(t, err, "others are served")
	held.Answers <- 0
	require.NoError(t, within(t, hung))
	mount.Unmount(t) // and ends as if nothing had been
}

func TestAnotherUserDoesNotGetAMount(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(`
export XDG_RUNTIME_DIR=$NOBODY_HOME
$CLONEFS mount --allow-other --log-file log ./src mnt
daemon=$(pgrep -x clonefs)
! user $CLONEFS mount --replace ./src mnt
test "$daemon" = "$(pgrep -x clonefs)"
user $CLONEFS ls mnt
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Contains(t, r.stderr, "no daemon of this user offers it")
	require.Contains(t, r.stdout, "9079169b-0bcc-478b-92d7-ae738c9e7cb0")
}

func TestAUserReplacesADaemon(t *testing.T) {
	requireTool(t, "fusermount3")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(userScript + `
export XDG_RUNTIME_DIR=$NOBODY_HOME
user $CLONEFS mount ./src mnt
for i in 1 2 3; do
	user sh -c 'exec 3>>mnt/job-1/file && echo before >&3 && "$CLONEFS" mount --replace ./src mnt && echo after >&3'
	until [ "$(pgrep -cx clonefs)" = 1 ]; do :; done
done
cat src/job-1/file
user $CLONEFS ls mnt
user $CLONEFS unmount mnt
! findmnt mnt
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Equal(t, 3, strings.Count(r.stdout, "before\nafter\n"), r.stdout)
	require.Equal(t, 3, strings.Count(r.stdout, "is taken over from process"), r.stdout)
	require.Contains(t, r.stdout, "9079169b-0bcc-478b-92d7-ae738c9e7cb0")
}
