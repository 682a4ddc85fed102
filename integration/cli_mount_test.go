//go:build linux

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

func TestCLIMountReturnsWhenTheMountAnswers(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	out := c.succeed("mount", "--log-file", "log", "./src", "mnt")
	require.Equal(t, fmt.Sprintf("dir:%s is mounted on %s, log in %s\n", c.path("src"), c.path("mnt"), c.path("log")), out)
	require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))
	require.Contains(t, c.mounted(), " - fuse.clonefs dir:"+c.path("src")+" ")

	c.succeed("unmount", "mnt")
	require.Empty(t, c.mounted())
	c.awaitEnd()
	require.Contains(t, c.log(), "msg=unmounted")
}

func TestCLIDaemonLetsGoOfEverything(t *testing.T) {
	c := newCLI(t)
	pid := c.mount()
	link := func(name string) string {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, name))
		require.NoError(t, err)
		return target
	}
	require.Equal(t, "/", link("cwd"))
	require.Equal(t, os.DevNull, link("fd/0"))
	require.Equal(t, os.DevNull, link("fd/1"))
	require.Equal(t, c.path("log"), link("fd/2"), "a panic is logged")
	session, err := unix.Getsid(pid)
	require.NoError(t, err)
	require.Equal(t, pid, session, "leads a session of its own")
	require.Equal(t, "0000", statusField(t, pid, "status", "Umask"))
	limits := strings.Fields(statusField(t, pid, "limits", "Max open files"))
	require.Equal(t, limits[1], limits[0], "as many open files as are allowed")
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	require.NoError(t, err)
	require.Contains(t, string(environment), "CLONEFS_READY_FD", "it is the daemon that was looked at")

	info, err := os.Stat(c.path("log"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestCLIForegroundServesUntilASignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			c := newCLI(t, "job-1/disk.vdi")
			var stderr bytes.Buffer
			command := exec.Command(daemon.Binary(t), "mount", "--foreground", "--log-format=json", "./src", "mnt")
			command.Dir, command.Stderr = c.dir, &stderr
			require.NoError(t, command.Start())
			c.eventually("the mount is there", func() bool { return c.mounted() != "" })
			require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))
			c.signal(command.Process.Pid, signal)
			require.NoError(t, command.Wait(), stderr.String())
			require.Empty(t, c.mounted())
			for line := range strings.Lines(stderr.String()) {
				require.NoError(t, json.Unmarshal([]byte(line), new(map[string]any)), "a line of JSON: %s", line)
			}
			require.Contains(t, stderr.String(), `"msg":"mounted"`)
		})
	}
}

func TestCLIBusyMountStaysAndSaysWhoUsesIt(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	pid := c.mount()
	user, end := c.use("job-1/disk.vdi")
	description := fmt.Sprintf("sleep (pid %d): working directory job-1, open file job-1/disk.vdi", user)

	c.fail(3, description, "unmount", "mnt")
	c.fail(3, "unmount --lazy "+c.path("mnt"), "unmount", "mnt")
	c.signal(pid, syscall.SIGTERM)
	c.eventually("the log says who uses it", func() bool { return strings.Contains(c.log(), description) })
	require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"), "it serves on")

	end()
	c.signal(pid, syscall.SIGTERM)
	c.awaitEnd()
	require.Empty(t, c.mounted())
}

func TestCLISecondSignalDetachesAndServesWhatIsOpen(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	pid := c.mount()
	file, err := os.OpenFile(c.path("mnt/job-1/disk.vdi"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()

	c.signal(pid, syscall.SIGINT)
	c.eventually("the first signal is logged", func() bool { return strings.Contains(c.log(), "signal again to detach") })
	c.signal(pid, syscall.SIGINT)
	c.eventually("the mount is out of sight", func() bool { return c.mounted() == "" })

	_, err = file.WriteAt([]byte("written late"), 2048)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	c.awaitEnd()
	content, err := os.ReadFile(c.path("src/job-1/disk.vdi"))
	require.NoError(t, err)
	require.Equal(t, "written late", string(content[2048:2060]))
	require.Equal(t, cliUUID, c.uuidOf("src/job-1/disk.vdi"))
}

func TestCLILazyUnmountServesWhatIsOpen(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	c.mount()
	_, end := c.use("job-1/disk.vdi")
	c.succeed("unmount", "--lazy", "mnt")
	require.Empty(t, c.mounted())
	require.Len(t, c.daemons(), 1)
	end()
	c.awaitEnd()
}

func TestCLIMountRefusesWithAnAnswer(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi", "job-1/sub/disk.vdi")
	require.NoError(t, os.MkdirAll(c.path("full/of/things"), 0o755))
	require.NoError(t, os.Mkdir(c.path("src/job-1/empty"), 0o755))
	require.NoError(t, os.WriteFile(c.path("file"), nil, 0o600))
	for name, r := range map[string]struct {
		status int
		words  string
		args   []string
	}{
		"no mount point":               {1, "mkdir -p", []string{"./src", "missing"}},
		"a file as mount point":        {1, "is not a directory", []string{"./src", "file"}},
		"a mount point with content":   {1, "--nonempty", []string{"./src", "full"}},
		"the root directory":           {1, "root directory", []string{"./src", "/"}},
		"a mount point in the source":  {1, "is inside", []string{"./src", "src/job-1/empty"}},
		"the source in the mount":      {1, "would hide it", []string{"--nonempty", "./src/job-1", "src"}},
		"the source as mount point":    {1, "cannot be the mount point too", []string{"--nonempty", "./src", "src"}},
		"no source":                    {1, "does not exist", []string{"./missing", "mnt"}},
		"a file as source":             {1, "is not a directory", []string{"./file", "mnt"}},
		"a log that cannot be written": {1, "--log-file", []string{"--log-file", "missing/log", "./src", "mnt"}},
		"no arguments":                 {2, "clonefs mount --help", nil},
		"an unknown flag":              {2, "--sideways", []string{"--sideways", "./src", "mnt"}},
		"an unknown option":            {2, `unknown option "sideways"`, []string{"./src", "mnt", "-o", "ro,sideways"}},
		"a wrong value":                {2, "want keep or unique", []string{"--guest-serial=some", "./src", "mnt"}},
		"a wrong value after -o":       {2, "want keep or unique", []string{"./src", "mnt", "-o", "guest_serial=some"}},
		"a source without a name":      {2, "dir:PATH or zfs:DATASET", []string{"dir:", "mnt"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []string{"--foreground=false", "--foreground"} {
				inner := *c
				inner.t = t
				inner.fail(r.status, r.words, append([]string{"mount", "--log-file=log", mode}, r.args...)...)
				require.Empty(t, inner.mounted())
				require.Empty(t, inner.daemons())
			}
		})
	}
}

func TestCLIMountOnADirectoryThatIsNotEmptyCanBeForced(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	require.NoError(t, os.WriteFile(c.path("mnt/hidden"), nil, 0o600))
	c.mount("--nonempty")
	require.NoFileExists(t, c.path("mnt/hidden"))
	c.succeed("unmount", "mnt")
	require.FileExists(t, c.path("mnt/hidden"))
}

func TestCLIMountRefusesAMountedDirectory(t *testing.T) {
	c := newCLI(t)
	c.mount()
	c.fail(1, "is mounted on "+c.path("mnt")+" already", "mount", "./src", "mnt")
	require.NoError(t, os.Symlink("mnt", c.path("link")))
	c.fail(1, "already", "mount", "./src", "link")
}

func TestCLIDeadMountIsCleaned(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	c.signal(c.mount(), syscall.SIGKILL)
	c.awaitEnd()
	require.Error(t, unix.Access(c.path("mnt/job-1"), unix.F_OK))
	c.fail(1, "clonefs unmount", "ls", "mnt")

	r := c.run("mount", "--log-file=log", "./src", "mnt")
	require.Zero(t, r.status, r.stderr)
	require.Contains(t, r.stderr, "clonefs: cleaned "+c.path("mnt"))
	require.Contains(t, c.log(), "had left a dead mount")
	require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))

	c.signal(c.daemon(), syscall.SIGKILL)
	c.awaitEnd()
	c.succeed("unmount", "mnt")
	require.Empty(t, c.mounted())
}

func TestCLIUnmountLeavesOtherMountsAlone(t *testing.T) {
	c := newCLI(t)
	c.fail(1, "(type proc), not of clonefs", "unmount", "/proc")
	c.fail(1, "is not a mount point", "unmount", "mnt")
	c.fail(1, "does not exist", "unmount", "nowhere/at/all")
	c.mount()
	c.fail(1, c.path("mnt")+" (dir:"+c.path("src")+")", "unmount", "src")
	require.NotEmpty(t, c.mounted())
}

func TestCLIMountOptionsTakeEffect(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	require.NoError(t, os.WriteFile(c.path("src/job-1/program"), []byte("#!/bin/sh\n"), 0o755))

	c.mount("-o", "ro,noexec,nosuid,nodev,x-systemd.automount,guest_serial=unique")
	require.ErrorIs(t, os.Mkdir(c.path("mnt/job-1/new"), 0o755), unix.EROFS)
	require.ErrorIs(t, exec.Command(c.path("mnt/job-1/program")).Run(), unix.EACCES)
	require.NotContains(t, c.uuidOf("mnt/job-1/disk.vdi"), "9079169b-")
	c.succeed("unmount", "mnt")
	c.awaitEnd()

	c.mount()
	require.NoError(t, os.Mkdir(c.path("mnt/job-1/new"), 0o755))
	require.NoError(t, exec.Command(c.path("mnt/job-1/program")).Run())
}

func TestCLIOtherUsersAreLetInWhenAsked(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(`
$CLONEFS mount ./src mnt
! user cat mnt/job-1/disk.vdi
user $CLONEFS mount ./src mnt 2>&1 | grep -q "already"
$CLONEFS unmount mnt
$CLONEFS mount --allow-other ./src mnt
user cat mnt/job-1/disk.vdi >/dev/null
! user rm mnt/job-1/disk.vdi
test "$(stat -c %a /var/log/clonefs.log)" = 600
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Contains(t, r.stdout, "log in /var/log/clonefs.log")
}

func TestCLIHelperOfMount8(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	helper := c.path("mount.clonefs")
	require.NoError(t, os.Symlink(daemon.Binary(t), helper))
	source, options := "dir:"+c.path("src"), "rw,nosuid,log_file="+c.path("log")

	r := c.runAs(helper, source, c.path("mnt"), "-n", "-s", "-o", options+",sideways", "-f")
	require.Equal(t, result{}, r, "fake mounts nothing, sloppy minds no option")
	require.Empty(t, c.mounted())

	r = c.runAs(helper, source, c.path("mnt"), "-o", options, "-t", "clonefs")
	require.Equal(t, result{}, r, "mount(8) is silent")
	require.NotEmpty(t, c.mounted())
	require.Equal(t, 32, c.runAs(helper, source, c.path("mnt"), "-o", options).status, "mount failure")
	require.Equal(t, 1, c.runAs(helper, source, c.path("mnt"), "-o", "sideways").status, "incorrect invocation")
	c.succeed("unmount", "mnt")
}

func TestCLIMountedByMount8(t *testing.T) {
	requireTool(t, "mount.fuse3")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(`
mkdir helpers
cp -P /sbin/mount.fuse /sbin/mount.fuse3 helpers
ln -s "$CLONEFS" helpers/mount.clonefs
mount --bind helpers "$(readlink -f /sbin)"
mkdir bin
ln -s "$CLONEFS" bin/clonefs
mount --bind bin /usr/local/bin # mount.fuse3 sets a PATH of its own
for type in fuse.clonefs clonefs; do
	mount -t $type "dir:$PWD/src" "$PWD/mnt" -o ro,nodev,guest_serial=unique
	findmnt -n -o FSTYPE,SOURCE "$PWD/mnt"
	$CLONEFS ls mnt
	umount mnt
done
if mount -t fuse.clonefs "dir:$PWD/src" "$PWD/missing"; then exit 1; fi
if mount -t fuse.clonefs "dir:$PWD/missing" "$PWD/mnt"; then exit 1; fi
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Equal(t, 2, strings.Count(r.stdout, "fuse.clonefs dir:"+c.path("src")), r.stdout)
	require.Contains(t, r.stderr, "source directory "+c.path("missing")+" does not exist")
}

func TestCLIMountNeedsADeviceAndSaysSo(t *testing.T) {
	c := newCLI(t)
	r := c.inNamespaces(`
umount /dev/fuse
mount -t tmpfs none /dev
mknod /dev/null c 1 3
! $CLONEFS mount ./src mnt
! $CLONEFS demo --once
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Equal(t, 2, strings.Count(r.stderr, "there is no /dev/fuse: load the kernel's module with `modprobe fuse`"), r.stderr)
}

func TestCLIVersionAndCompletion(t *testing.T) {
	c := newCLI(t)
	require.Regexp(t, `^clonefs \S+.* \(go1\.\d+.*, linux/\w+\)\n$`, c.succeed("version"))
	require.Equal(t, c.succeed("version"), c.succeed("--version"))
	for _, shell := range []string{"bash", "zsh", "fish"} {
		require.Contains(t, c.succeed("completion", shell), "clonefs")
	}
	c.mount()
	require.Contains(t, c.succeed("__complete", "unmount", ""), c.path("mnt"))
	c.fail(2, "Did you mean this?\n\tmount", "moutn")
	for _, command := range []string{"", "mount", "unmount", "ls", "demo"} {
		require.Contains(t, c.succeed(strings.Fields(command+" --help")...), "Exit status:", command)
	}
}
