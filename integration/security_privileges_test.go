//go:build linux

package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

// daemonCapabilities are those that SECURITY.md names.
var daemonCapabilities = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID,
	unix.CAP_LEASE, unix.CAP_MKNOD, unix.CAP_SETFCAP, unix.CAP_SYS_ADMIN, unix.CAP_SYS_PTRACE,
}

// withoutUnusedCapabilities is the mask of a set of capabilities, without those
// that the daemon does not use.
func withoutUnusedCapabilities(t *testing.T, set string) string {
	t.Helper()
	mask, err := strconv.ParseUint(set, 16, 64)
	require.NoError(t, err)
	var used uint64
	for _, capability := range daemonCapabilities {
		used |= 1 << capability
	}
	return fmt.Sprintf("%016x", mask&used)
}

// requireConfined fails if any thread of a daemon, or what it could start, has
// other privileges than those that it uses.
func requireConfined(t *testing.T, pid int) {
	t.Helper()
	expected := withoutUnusedCapabilities(t, statusField(t, os.Getpid(), "status", "CapBnd"))
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	require.NoError(t, err)
	require.Greater(t, len(threads), 2, "a Go program has several threads")
	for _, thread := range threads {
		status, err := os.ReadFile(filepath.Join(thread, "status"))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		require.NoError(t, err)
		for field, want := range map[string]string{
			"CapInh": "0000000000000000", "CapPrm": expected, "CapEff": expected,
			"CapBnd": expected, "CapAmb": "0000000000000000", "NoNewPrivs": "1",
		} {
			require.Equal(t, want, fieldOf(t, string(status), field), "%s of %s", field, thread)
		}
	}
}

func TestCLIDaemonHasOnlyThePrivilegesThatItUses(t *testing.T) {
	t.Run("in the background", func(t *testing.T) {
		c := newCLI(t, "job-1/disk.vdi")
		requireConfined(t, c.mount())
		c.succeed("unmount", "mnt")
		c.awaitEnd()
	})
	t.Run("in the foreground", func(t *testing.T) {
		c := newCLI(t, "job-1/disk.vdi")
		m := daemon.Start(t, c.path("src"), c.path("mnt"))
		requireConfined(t, m.PID())
		m.Unmount(t)
	})
	t.Run("with capabilities that are kept over an execve", func(t *testing.T) {
		requireTool(t, "setpriv")
		c := newCLI(t, "job-1/disk.vdi")
		c.runAs("setpriv", "--inh-caps=+net_admin", "--ambient-caps=+net_admin",
			daemon.Binary(t), "mount", "--log-file", "log", "./src", "mnt")
		requireConfined(t, c.daemon())
	})
}

// Who starts the daemon may have taken away what it would need to give
// something up.
func TestCLIDaemonMountsWhereItCannotGiveUpPrivileges(t *testing.T) {
	requireTool(t, "setpriv")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.runAs("setpriv", "--bounding-set=-setpcap", daemon.Binary(t), "mount", "--log-file", "log", "./src", "mnt")
	require.Zero(t, r.status, r.stderr)
	require.Equal(t, "1", statusField(t, c.daemon(), "status", "NoNewPrivs"))
	require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))
}

func TestCLIProgramsThatTheDaemonStartsGetNoMorePrivileges(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	tools := c.path("tools")
	require.NoError(t, os.Mkdir(tools, 0o755))
	script := "#!/bin/sh\ngrep -E '^(Cap(Prm|Bnd)|NoNewPrivs)' /proc/self/status >" + c.path("seen") + "\nexit 1\n"
	require.NoError(t, os.WriteFile(filepath.Join(tools, "zfs"), []byte(script), 0o755))
	c.env = append(c.env, "PATH="+tools+":"+os.Getenv("PATH"))
	c.fail(1, "", "mount", "--log-file", "log", "zfs:tank/ci", "mnt")

	expected := withoutUnusedCapabilities(t, statusField(t, os.Getpid(), "status", "CapBnd"))
	seen, err := os.ReadFile(c.path("seen"))
	require.NoError(t, err)
	require.Equal(t, []string{"CapPrm:", expected, "CapBnd:", expected, "NoNewPrivs:", "1"}, strings.Fields(string(seen)))
}

// A user's mount goes through fusermount3, which is setuid and must stay so.
func TestCLIDaemonOfAUserKeepsItsWayToUnmount(t *testing.T) {
	requireTool(t, "fusermount3")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(userScript + `
user $CLONEFS mount --log-file "$NOBODY_HOME/log" ./src mnt
daemon=$(pgrep -x clonefs)
grep -E '^(CapPrm|NoNewPrivs)' /proc/$daemon/status
kill $daemon
until ! pgrep -x clonefs; do :; done
! findmnt mnt
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Contains(t, r.stdout, "CapPrm:\t0000000000000000")
	require.Contains(t, r.stdout, "NoNewPrivs:\t0")
}

// The daemon does through the mount, with its few privileges, all that root can
// do in a plain directory.
func TestCLIDaemonDoesForRootWhatRootCanDo(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	require.NoError(t, os.Mkdir(c.path("src/plain"), 0o755))
	require.NoError(t, os.MkdirAll(c.path("outside/plain"), 0o755))
	c.mount("--allow-other")
	for _, dir := range []string{"outside/plain", "mnt/plain"} {
		t.Run(dir, func(t *testing.T) { useEveryPrivilege(t, c.path(dir)) })
	}
}

// useEveryPrivilege does in a directory what takes a privilege.
func useEveryPrivilege(t *testing.T, dir string) {
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("file"), []byte("secret"), 0o600))
	require.NoError(t, unix.Chown(at("file"), nobody, staff), "chown")
	require.NoError(t, unix.Chmod(at("file"), 0o2710), "fsetid: setgid of a group that root is not in")
	var s unix.Stat_t
	require.NoError(t, unix.Stat(at("file"), &s))
	require.Equal(t, uint32(0o2710), s.Mode&0o7777)
	require.NoError(t, unix.Chmod(at("file"), 0), "fowner")
	content, err := os.ReadFile(at("file"))
	require.NoError(t, err, "dac_override")
	require.Equal(t, "secret", string(content))
	fd, err := unix.Open(at("file"), unix.O_RDONLY|unix.O_NOATIME|unix.O_CLOEXEC, 0)
	require.NoError(t, err, "fowner: without access time")
	unix.Close(fd)
	require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, at("file"), []unix.Timespec{{Sec: 1}, {Sec: 2}}, 0), "fowner: times")
	require.NoError(t, unix.Setxattr(at("file"), "trusted.a", []byte("x"), 0), "sys_admin")
	require.NoError(t, unix.Setxattr(at("file"), "security.capability", []byte(capNetBind), 0), "setfcap")
	require.NoError(t, unix.Mknod(at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))), "mknod")
	require.NoError(t, os.Mkdir(at("barred"), 0))
	require.NoError(t, unix.Chown(at("barred"), nobody, nobody))
	require.NoError(t, os.WriteFile(at("barred/file"), nil, 0o600), "dac_override: a directory without rights")
	entries, err := os.ReadDir(at("barred"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.NoError(t, os.Mkdir(at("sticky"), 0o777))
	require.NoError(t, unix.Chmod(at("sticky"), 0o1777))
	require.NoError(t, os.WriteFile(at("sticky/file"), nil, 0o600))
	require.NoError(t, unix.Chown(at("sticky"), nobody, nobody))
	require.NoError(t, unix.Chown(at("sticky/file"), member, member))
	require.NoError(t, unix.Unlink(at("sticky/file")), "fowner: another's file in a sticky directory")
	out, err := exec.Command("ln", at("file"), at("sticky/linked")).CombinedOutput()
	require.NoError(t, err, "fowner: protected hard links: %s", out)
}

// A service manager hears that the mount is there when it is, and not before;
// and it finds the process that it started, though that has begun anew.
func TestCLIForegroundTellsTheServiceManagerWhenTheMountAnswers(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: c.path("notify")}))
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(cliPatience.Seconds())}))
	require.NoError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	command := exec.Command(daemon.Binary(t), "mount", "--foreground", "--log-file", "log", "./src", "mnt")
	c.env = append(c.env, "NOTIFY_SOCKET="+c.path("notify"))
	command.Dir, command.Env = c.dir, c.env
	require.NoError(t, command.Start())

	told, control := make([]byte, 100), make([]byte, 100)
	n, controls, _, _, err := unix.Recvmsg(fd, told, control, 0)
	require.NoError(t, err)
	require.Equal(t, "READY=1", string(told[:n]))
	require.NotEmpty(t, c.mounted())
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	require.NoError(t, err)
	require.Len(t, messages, 1)
	sender, err := unix.ParseUnixCredentials(&messages[0])
	require.NoError(t, err)
	require.Equal(t, command.Process.Pid, int(sender.Pid))
	c.succeed("unmount", "mnt")
	require.NoError(t, command.Wait())
}
