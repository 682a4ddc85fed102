//go:build linux

package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/vdi"
)

// cliUUID is what every image of these tests has stored.
const cliUUID = "9079169b-d4a4-41e5-bb50-fe548c9e7cb0"

// cliPatience is how long something that happens by itself may take.
const cliPatience = 15 * time.Second

// A cli is a directory with a source, "src", and an empty directory, "mnt", in
// which the program is run as a user would. What it mounts there ends with
// the test.
type cli struct {
	t   *testing.T
	dir string
	env []string
}

// newCLI makes a cli whose source has these images: "job-1/disk.vdi".
func newCLI(t *testing.T, images ...string) *cli {
	t.Helper()
	requireRoot(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // some tests change the user
	c := &cli{t: t, dir: dir, env: append(os.Environ(), "LC_ALL=C")}
	for _, name := range []string{"src", "mnt"} {
		require.NoError(t, os.Mkdir(c.path(name), 0o755))
	}
	for _, image := range images {
		c.writeImage(filepath.Join("src", image))
	}
	t.Cleanup(c.cleanUp)
	t.Cleanup(c.showLogOfFailure)
	return c
}

func (c *cli) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cli) writeImage(name string) {
	c.t.Helper()
	create, err := vdi.ParseUUID(cliUUID)
	require.NoError(c.t, err)
	image := make([]byte, 4096)
	binary.LittleEndian.PutUint32(image[64:], vdi.Signature)
	binary.LittleEndian.PutUint32(image[68:], 0x00010001)
	binary.LittleEndian.PutUint32(image[76:], uint32(vdi.Dynamic))
	binary.LittleEndian.PutUint64(image[368:], 1<<30)
	copy(image[392:], create[:])
	require.NoError(c.t, os.MkdirAll(filepath.Dir(c.path(name)), 0o755))
	require.NoError(c.t, os.WriteFile(c.path(name), image, 0o644))
}

// uuidOf returns the UUID in the header of an image.
func (c *cli) uuidOf(name string) string {
	c.t.Helper()
	content, err := os.ReadFile(c.path(name))
	require.NoError(c.t, err)
	header, err := vdi.Parse(content)
	require.NoError(c.t, err)
	return header.Create.String()
}

// A result is how a run of the program ended.
type result struct {
	stdout, stderr string
	status         int
}

// run runs the program in the cli's directory.
func (c *cli) run(args ...string) result {
	c.t.Helper()
	return c.runAs(daemon.Binary(c.t), args...)
}

// runAs runs the program by another name that it has.
func (c *cli) runAs(program string, args ...string) result {
	c.t.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.Command(program, args...)
	command.Dir, command.Env, command.Stdout, command.Stderr = c.dir, c.env, &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(c.t, err)
	}
	return result{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// succeed runs the program, which must not fail, and returns its output.
func (c *cli) succeed(args ...string) string {
	c.t.Helper()
	r := c.run(args...)
	require.Zero(c.t, r.status, "clonefs %v: %s", args, r.stderr)
	return r.stdout
}

// fail runs the program, which must fail with this status and say why with
// these words.
func (c *cli) fail(status int, words string, args ...string) {
	c.t.Helper()
	r := c.run(args...)
	require.Equal(c.t, status, r.status, "clonefs %v: %s%s", args, r.stdout, r.stderr)
	require.Contains(c.t, r.stderr, words)
	require.True(c.t, strings.HasPrefix(r.stderr, "clonefs: "), r.stderr)
}

// mount mounts the source in the background and returns the daemon's process.
func (c *cli) mount(flags ...string) int {
	c.t.Helper()
	c.succeed(append(append([]string{"mount", "--log-file", "log"}, flags...), "./src", "mnt")...)
	return c.daemon()
}

// daemon returns the one process of the program that was called with the
// cli's directory as its working directory and goes on.
func (c *cli) daemon() int {
	c.t.Helper()
	pids := c.daemons()
	require.Len(c.t, pids, 1, "daemons of %s", c.dir)
	return pids[0]
}

// daemons finds the processes that have the cli's log open, or its directory
// in their arguments.
func (c *cli) daemons() (pids []int) {
	program, err := filepath.EvalSymlinks(daemon.Binary(c.t))
	require.NoError(c.t, err)
	processes, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(c.t, err)
	for _, process := range processes {
		// Reading the arguments of a process that hangs in a page fault hangs.
		if executable, _ := os.Readlink(process + "/exe"); executable != program {
			continue
		}
		arguments, _ := os.ReadFile(process + "/cmdline")
		log, _ := os.Readlink(process + "/fd/2")
		if !bytes.Contains(arguments, []byte(c.dir)) && !strings.HasPrefix(log, c.dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(process))
		require.NoError(c.t, err)
		pids = append(pids, pid)
	}
	return pids
}

// mounted returns the line of the mount table for the cli's mount point, "" if
// nothing is mounted there.
func (c *cli) mounted() string {
	c.t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(c.t, err)
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, " "+c.path("mnt")+" ") {
			return line
		}
	}
	return ""
}

func (c *cli) log() string {
	c.t.Helper()
	text, err := os.ReadFile(c.path("log"))
	require.NoError(c.t, err)
	return string(text)
}

func (c *cli) eventually(what string, is func() bool) {
	c.t.Helper()
	require.Eventually(c.t, is, cliPatience, 10*time.Millisecond, what)
}

func (c *cli) signal(pid int, s syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, syscall.Kill(pid, s))
}

// awaitEnd waits until no daemon is left.
func (c *cli) awaitEnd() {
	c.t.Helper()
	c.eventually("the daemon ends", func() bool { return len(c.daemons()) == 0 })
}

// use starts a process that has an image on the mount open and its working
// directory beside it. The returned function ends it.
func (c *cli) use(image string) (pid int, end func()) {
	c.t.Helper()
	file, err := os.Open(c.path(filepath.Join("mnt", image)))
	require.NoError(c.t, err)
	defer file.Close()
	sleep := exec.Command("sleep", "600")
	sleep.Stdin, sleep.Dir = file, filepath.Dir(file.Name())
	require.NoError(c.t, sleep.Start())
	ended := false
	end = func() {
		if !ended {
			_ = sleep.Process.Kill()
			_ = sleep.Wait()
		}
		ended = true
	}
	c.t.Cleanup(end)
	return sleep.Process.Pid, end
}

func (c *cli) showLogOfFailure() {
	if log, err := os.ReadFile(c.path("log")); err == nil && c.t.Failed() {
		c.t.Logf("log:\n%s", log)
	}
}

// cleanUp ends what the test left, mounts first.
func (c *cli) cleanUp() {
	for c.mounted() != "" {
		require.NoError(c.t, unix.Unmount(c.path("mnt"), unix.MNT_DETACH))
	}
	for deadline := time.Now().Add(2 * time.Second); len(c.daemons()) > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	for _, pid := range c.daemons() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// inNamespaces runs a script of the shell in mount and process namespaces of its
// own, with the cli's directory as working directory, the program as $CLONEFS
// and /dev/fuse open to everybody. "user" before a command runs it as nobody.
// All that it leaves running or mounted ends with it, after a minute at the
// latest.
func (c *cli) inNamespaces(script string) result {
	c.t.Helper()
	program := c.path("clonefs")
	binary, err := os.ReadFile(daemon.Binary(c.t))
	require.NoError(c.t, err)
	require.NoError(c.t, os.WriteFile(program, binary, 0o755))
	require.NoError(c.t, os.MkdirAll(c.path("home"), 0o755))
	require.NoError(c.t, os.Chown(c.path("home"), 65534, 65534))
	c.env = append(c.env, "CLONEFS="+program, "NOBODY_HOME="+c.path("home"))
	return c.runAs("timeout", "--signal=KILL", "60", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", namespacePreamble+script)
}

// The mounts of this process have set its umask to 0.
const namespacePreamble = `
umask 022
mkdir devices
mount -t tmpfs -o mode=755 none devices
mknod -m 666 devices/fuse c 10 229
mount --bind devices/fuse /dev/fuse
mount -t tmpfs none /var/log
user() {
	env -u XDG_STATE_HOME HOME="$NOBODY_HOME" setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}
`

// requireRoot fails or skips a test that mounts.
func requireRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("mounting in namespaces and as another user needs root")
	default:
		t.Skip("mounting in namespaces and as another user needs root")
	}
}

// requireTool fails or skips a test that needs a program of the machine.
func requireTool(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
}

// statusField returns a line of /proc/PID/status or /proc/PID/limits.
func statusField(t *testing.T, pid int, file, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	require.NoError(t, err)
	return fieldOf(t, string(text), name)
}

// fieldOf returns the value of a line "name: value" of a file in /proc.
func fieldOf(t *testing.T, text, name string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(strings.TrimPrefix(value, ":"))
		}
	}
	t.Fatalf("no %s in %s", name, text)
	return ""
}
