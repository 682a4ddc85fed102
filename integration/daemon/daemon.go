//go:build linux

// Package daemon runs the clonefs program as a test's child: it builds it,
// mounts, waits until the mount answers, and ends everything with the test.
//
// A package that uses it ends its TestMain with
//
//	os.Exit(daemon.Main(m))
package daemon

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is how long a mount may take to answer or to end.
const patience = 15 * time.Second

// Run runs the program with these arguments to its end and returns its standard
// output. The test fails if the program does.
func Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := TryRun(t, args...)
	require.NoError(t, err)
	return out
}

// TryRun runs the program with these arguments to its end. The error carries
// what it wrote to standard error.
func TryRun(t testing.TB, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(Binary(t), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), &runError{args, strings.TrimSpace(stderr.String()), err}
	}
	return stdout.String(), nil
}

// A Mount is a mounted clonefs with its daemon. Its methods fail the test or
// subtest that they are given when they cannot do what they say.
type Mount struct {
	// Dir is the mount point.
	Dir string
	// Program is the program that Start and Replace start.
	Program string

	args []string
	log  lockedBuffer
	*process
}

// A process is a daemon.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the daemon has ended
	err   error         // of the daemon; valid once ended is closed
}

// Start mounts source at the existing directory mountpoint, with these flags,
// and returns when the mount answers. The mount ends with the test; if the test
// failed, the daemon's log is printed.
func Start(t testing.TB, source, mountpoint string, flags ...string) *Mount {
	t.Helper()
	args := append([]string{"mount", "--foreground"}, flags...)
	m := &Mount{Dir: mountpoint, Program: Binary(t), args: append(args, source, mountpoint)}
	t.Cleanup(func() { m.cleanup(t) })
	m.Start(t)
	return m
}

// Start mounts again, with the same flags, after Unmount or Kill.
func (m *Mount) Start(t testing.TB) {
	t.Helper()
	before := len(m.Log())
	m.process = m.launch(t, m.args)
	m.awaitMounted(t, before)
}

func (m *Mount) launch(t testing.TB, args []string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(m.Program, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &m.log, &m.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p
}

// awaitMounted waits until the daemon says, in what it logs from this byte on, that it
// has mounted: by then it has asked its mount all that it wants to know, and has opened
// what it keeps open.
func (m *Mount) awaitMounted(t testing.TB, logged int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !mountedLine.MatchString(m.Log()[logged:]) {
		select {
		case <-m.ended:
			require.FailNow(t, "the daemon ended before it had mounted", "%v: %v\n%s", m.cmd, m.err, m.Log())
		case <-time.After(time.Millisecond):
		}
		require.True(t, time.Now().Before(deadline), "no mount at %s after %v\n%s", m.Dir, patience, m.Log())
	}
}

var mountedLine = regexp.MustCompile(`msg="?(mounted|taken over)"? `)

// PID returns the process ID of the daemon.
func (m *Mount) PID() int { return m.cmd.Process.Pid }

// Log returns what the daemon has written so far, over all its starts.
func (m *Mount) Log() string { return m.log.String() }

// Unmount unmounts and waits for the daemon to end, which it must do without
// an error.
func (m *Mount) Unmount(t testing.TB) {
	t.Helper()
	require.NoError(t, unix.Unmount(m.Dir, 0), "unmount %s", m.Dir)
	m.AwaitEnd(t)
}

// AwaitEnd waits for the daemon to end, which it must do without an error.
func (m *Mount) AwaitEnd(t testing.TB) {
	t.Helper()
	require.True(t, m.awaitEnd(patience), "the daemon goes on after the unmount\n%s", m.Log())
	require.NoError(t, m.err, "the daemon's end\n%s", m.Log())
}

// Remount unmounts and mounts again.
func (m *Mount) Remount(t testing.TB) {
	t.Helper()
	m.Unmount(t)
	m.Start(t)
}

// Kill ends the daemon as a crash would, and leaves its dead mount behind.
func (m *Mount) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, m.cmd.Process.Kill())
	require.True(t, m.awaitEnd(patience), "the daemon survived SIGKILL")
}

// awaitEnd says whether the daemon ended in time.
func (p *process) awaitEnd(limit time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(limit):
		return false
	}
}

// cleanup ends the mount and the daemon, whatever state they are in.
func (m *Mount) cleanup(t testing.TB) {
	if t.Failed() {
		t.Logf("log of %s:\n%s", m.Dir, m.Log())
	}
	if unix.Unmount(m.Dir, 0) != nil {
		// Busy, dead, or not mounted.
		_ = unix.Unmount(m.Dir, unix.MNT_DETACH)
	}
	if m.process == nil || m.awaitEnd(2*time.Second) {
		return
	}
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	if !m.awaitEnd(2 * time.Second) {
		_ = m.cmd.Process.Kill()
		<-m.ended
	}
}
