//go:build linux

package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
)

// newDemo returns a cli whose temporary directory, where the demo makes its
// own, is its "mnt".
func newDemo(t *testing.T) *cli {
	c := newCLI(t)
	c.env = append(c.env, "TMPDIR="+c.path("mnt"))
	return c
}

func (c *cli) requireNothingLeft() {
	c.t.Helper()
	entries, err := os.ReadDir(c.path("mnt"))
	require.NoError(c.t, err)
	require.Empty(c.t, entries)
	table, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(c.t, err)
	require.NotContains(c.t, string(table), c.dir)
	c.awaitEnd()
	sockets, err := filepath.Glob("/tmp/.vbox-clonefs-demo-*")
	require.NoError(c.t, err)
	require.Empty(c.t, sockets)
}

func TestCLIDemoShowsADifferentUUIDForEachClone(t *testing.T) {
	c := newDemo(t)
	out := c.succeed("demo", "--once")
	c.requireNothingLeft()

	uuids := map[string][]string{}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 3 && strings.HasSuffix(fields[0], ".vdi") {
			uuids[fields[0]] = append(uuids[fields[0]], fields[1])
		}
	}
	require.Len(t, uuids, 4)
	golden := uuids["golden.vdi"]
	require.Len(t, golden, 2, "before and after")
	presented := map[string]bool{golden[0]: true}
	for _, clone := range []string{"job-1/disk.vdi", "job-2/disk.vdi", "job-3/disk.vdi"} {
		require.Len(t, uuids[clone], 3, "before, mounted, and after")
		require.Equal(t, golden[0], uuids[clone][0])
		require.Equal(t, golden[0], uuids[clone][2])
		presented[uuids[clone][1]] = true
	}
	require.Len(t, presented, 4, "all different")
}

// waitingDemo starts a demo and returns when it waits for Ctrl-C, with the
// place of its mount.
func (c *cli) waitingDemo(args ...string) (demo *exec.Cmd, mountpoint string) {
	c.t.Helper()
	output := &watchedOutput{}
	demo = exec.Command(daemon.Binary(c.t), append([]string{"demo"}, args...)...)
	demo.Dir, demo.Env, demo.Stdout, demo.Stderr = c.dir, c.env, output, output
	demo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(c.t, demo.Start())
	c.t.Cleanup(func() { _ = demo.Process.Kill() })
	c.eventually("the demo waits", func() bool { return strings.Contains(output.String(), "Ctrl-C ends the demo") })
	found, err := filepath.Glob(c.path("mnt/clonefs-demo-*/mnt"))
	require.NoError(c.t, err)
	require.Len(c.t, found, 1)
	return demo, found[0]
}

func TestCLIDemoIsCleanedUpOnCtrlC(t *testing.T) {
	c := newDemo(t)
	demo, mountpoint := c.waitingDemo()
	require.Len(t, c.list(mountpoint).Images, 3)
	require.NoError(t, syscall.Kill(-demo.Process.Pid, syscall.SIGINT), "as the terminal does, to the whole group")
	require.NoError(t, demo.Wait())
	c.requireNothingLeft()
}

func TestCLIDemoIsCleanedUpThoughAShellIsThere(t *testing.T) {
	c := newDemo(t)
	demo, mountpoint := c.waitingDemo()
	shell := exec.Command("sleep", "600")
	shell.Dir = filepath.Join(mountpoint, "job-1")
	require.NoError(t, shell.Start())
	defer func() { _ = shell.Process.Kill(); _ = shell.Wait() }()
	require.NoError(t, demo.Process.Signal(syscall.SIGTERM))
	require.NoError(t, demo.Wait())
	require.NoError(t, shell.Process.Kill())
	_ = shell.Wait()
	c.requireNothingLeft()
}

// fakeVBoxManage refuses the second medium with one UUID, as VirtualBox does,
// and leaves a server behind that ends only when it is told to.
const fakeVBoxManage = `#!/bin/sh
echo "$@" >>"$CALLS"
[ "$VBOX_USER_HOME" ] && [ "$VBOX_IPC_SOCKETID" ] || exit 9
case "$*" in
createvm*) mkdir -p "$VBOX_USER_HOME"; sleep 600 & ;;
*"--port 1"*clones*) echo "VBoxManage: error: Cannot register the hard disk"; exit 1 ;;
*"$REFUSED") echo "VBoxManage: error: it will not have this"; exit 1 ;;
esac
`

func (c *cli) fakeVBox() (calls func() string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(c.path("fake"), []byte(fakeVBoxManage), 0o755))
	c.env = append(c.env, "CALLS="+c.path("calls"), "REFUSED=nothing")
	return func() string {
		text, err := os.ReadFile(c.path("calls"))
		require.NoError(c.t, err)
		return string(text)
	}
}

func TestCLIDemoAsksVirtualBox(t *testing.T) {
	c := newDemo(t)
	calls := c.fakeVBox()
	out := c.succeed("demo", "--once", "--vboxmanage", c.path("fake"))
	require.Contains(t, out, "  VBoxManage: error: Cannot register the hard disk\n")
	require.Contains(t, out, "VirtualBox takes them all")
	for _, clone := range []string{"job-1", "job-2", "job-3"} {
		require.Regexp(t, `(?m)^storageattach .*/mnt/`+clone+`/disk\.vdi$`, calls())
	}
	c.requireNothingLeft()
	require.Empty(t, c.processesWith("VBOX_IPC_SOCKETID=clonefs-demo-"))
}

func TestCLIDemoFailsWhenVirtualBoxRefusesAClone(t *testing.T) {
	c := newDemo(t)
	c.fakeVBox()
	c.env = append(c.env, "REFUSED=mnt/job-3/disk.vdi")
	c.fail(1, "it will not have this", "demo", "--once", "--vboxmanage", c.path("fake"))
	c.requireNothingLeft()
	require.Empty(t, c.processesWith("VBOX_IPC_SOCKETID=clonefs-demo-"))
	c.fail(1, "missing", "demo", "--once", "--vboxmanage", "./missing")
}

// processesWith finds processes that were started for this cli by what their
// environment contains.
func (c *cli) processesWith(variable string) (found []string) {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(c.t, err)
	for _, path := range environments {
		variables, _ := os.ReadFile(path)
		if bytes.Contains(variables, []byte(variable)) && bytes.Contains(variables, []byte(c.dir)) {
			found = append(found, path)
		}
	}
	return found
}

// watchedOutput may be read while a process writes to it.
type watchedOutput struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *watchedOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *watchedOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}
