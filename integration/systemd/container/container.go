//go:build linux

// Package container runs the machine's own systemd, as it would run a machine:
// as the first process of process, mount, network and cgroup namespaces, with a
// root file system of its own (root.sh) and the cgroups of version 2, whatever
// runs the machine itself. It starts in about a second and needs root.
//
// A test reaches into it by [Container.Run], as a root shell does, and by
// [Container.Path]. What it started and mounted goes with its first process.
// It expects to run in the namespaces of package namespace.
package container

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

//go:embed root.sh
var rootScript string

// path is that of a root shell; see path(7) and login.defs(5).
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"

// Patience is how long something may take that systemd does by itself, or a
// service at once.
const Patience = 30 * time.Second

// A Container is a running systemd.
type Container struct {
	init  *exec.Cmd
	ended chan struct{} // closed when systemd has ended
}

// Start starts systemd and returns when it has booted. It ends with the test; if
// the test failed, its journal is printed.
func Start(t testing.TB) *Container {
	t.Helper()
	group := newCgroup(t)
	console, err := os.Create(filepath.Join(t.TempDir(), "console"))
	require.NoError(t, err)
	defer console.Close()
	c := &Container{init: firstProcess(t.TempDir(), group), ended: make(chan struct{})}
	c.init.Stdout, c.init.Stderr = console, console
	require.NoError(t, c.init.Start())
	go func() {
		_ = c.init.Wait() // systemd is killed
		close(c.ended)
	}()
	t.Cleanup(func() { c.end(t) })
	c.awaitBoot(t, console.Name())
	return c
}

// firstProcess is the command that becomes systemd, with its root in a directory
// and its cgroups in one of this machine's.
func firstProcess(root string, group *os.File) *exec.Cmd {
	cmd := exec.Command("sh", "-c", rootScript, "root.sh", root)
	cmd.Env = []string{path}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:      true,
		Cloneflags:  syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		UseCgroupFD: true,
		CgroupFD:    int(group.Fd()),
		// The new cgroup namespace begins at the cgroup that the process is in
		// when it is made, which clone3(2) would make before it has moved.
		Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWCGROUP,
	}
	return cmd
}

func (c *Container) awaitBoot(t testing.TB, console string) {
	t.Helper()
	var state string
	for deadline := time.Now().Add(2 * Patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, _ := c.Command("systemctl", "is-system-running").Output()
		if state = strings.TrimSpace(string(out)); state == "running" || state == "degraded" || c.hasEnded() {
			break
		}
	}
	said, err := os.ReadFile(console)
	require.NoError(t, err)
	require.Equal(t, "running", state, "systemd did not boot: %s", said)
}

func (c *Container) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// Command is a command in the container, as a root shell outside all units
// runs it.
func (c *Container) Command(name string, args ...string) *exec.Cmd {
	enter := []string{"--target", c.pid(), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--", name}
	cmd := exec.Command("nsenter", append(enter, args...)...)
	cmd.Env = []string{path, "LC_ALL=C.UTF-8"}
	return cmd
}

// Run runs a command in the container, which must not fail, and returns what it
// wrote to standard output.
func (c *Container) Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := c.TryRun(name, args...)
	require.NoError(t, err)
	return out
}

// Path is where this process finds a file of the container.
func (c *Container) Path(name string) string {
	return filepath.Join("/proc", c.pid(), "root", name)
}

func (c *Container) pid() string { return strconv.Itoa(c.init.Process.Pid) }

// end kills systemd, and so the kernel everything that runs with it.
func (c *Container) end(t testing.TB) {
	if t.Failed() {
		journal, _ := c.TryRun("journalctl", "--no-pager", "--quiet", "--output=short-precise")
		t.Logf("the journal:\n%s", journal)
	}
	_ = c.init.Process.Kill()
	<-c.ended
}
