//go:build linux

package systemd_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/systemd/container"
)

// A disk is a process that uses an image as a VM does; see useDisk. It is another one
// than the test: where nobody serves the mount, whoever has a file there open cannot
// start a program, since execve(2) closes it.
type disk struct {
	t       testing.TB
	process *exec.Cmd
	stop    io.Closer
	output  bytes.Buffer
}

// diskVariable tells a process that it is a disk, and of which image.
const diskVariable = "CLONEFS_TEST_DISK"

func (s *service) runDisk(volume string) *disk {
	s.t.Helper()
	program, err := os.Executable()
	require.NoError(s.t, err)
	d := &disk{t: s.t, process: exec.Command(program)}
	d.process.Env = append(os.Environ(), diskVariable+"="+s.disk(volume))
	d.process.Stdout, d.process.Stderr = &d.output, &d.output
	d.stop, err = d.process.StdinPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, d.process.Start())
	return d
}

// end stops writing, and fails if a record was refused or is not there.
func (d *disk) end() {
	d.t.Helper()
	require.NoError(d.t, d.stop.Close())
	require.NoError(d.t, d.process.Wait(), d.output.String())
}

const recordSize = 4096

// useDisk writes records, each with its number in it, and brings them to stable storage
// one after the other, by a descriptor that stays open, until its input ends. Then it
// looks whether all are there.
func useDisk(image string) error {
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var ended atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
	}()
	last := 0
	for ; !ended.Load() || last == 0; last++ {
		if _, err := f.WriteAt(record(last), offset(last)); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	for number := range last {
		got := make([]byte, recordSize)
		if _, err := f.ReadAt(got, offset(number)); err != nil {
			return err
		}
		if !bytes.Equal(record(number), got) {
			return fmt.Errorf("record %d is not what was written", number)
		}
	}
	return f.Close()
}

func record(number int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%015d\n", number), recordSize/16)
}

func offset(number int) int64 { return 1<<20 + int64(number)*recordSize }

// restarts is how often the service is restarted. A program with the race detector takes
// seconds to begin and to end.
func restarts() int {
	if os.Getenv("CLONEFS_RACE") != "" {
		return 4
	}
	return 20
}

// upgrade puts another program in the place of the installed one.
func (s *service) upgrade(version int) {
	s.t.Helper()
	const installed = "/usr/local/bin/clonefs"
	program, err := os.ReadFile(s.Path(installed))
	require.NoError(s.t, err)
	program = fmt.Appendf(program, "version %d\n", version) // nobody reads what is behind the sections
	s.write(installed+".new", program, 0o755)
	require.NoError(s.t, os.Rename(s.Path(installed+".new"), s.Path(installed)))
}

func TestARestartTakesNothingFromWhoUsesTheMount(t *testing.T) {
	s := newService(t, "job-1", "job-2")
	s.systemctl("start")
	d := s.runDisk("job-1")
	before, err := os.Stat(s.disk("job-2"))
	require.NoError(t, err)
	for i := range restarts() {
		daemon := s.property("MainPID")
		s.upgrade(i)
		s.systemctl("restart")
		require.NotEqual(t, daemon, s.property("MainPID"))
		require.Len(t, s.mounts(), 1)
		require.Equal(t, "0", s.property("NFileDescriptorStore"))
		s.requireMapped("job-1")
		s.requireMapped("job-2")
	}
	d.end()
	after, err := os.Stat(s.disk("job-2"))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	s.systemctl("stop")
	require.Empty(t, s.mounts())
}

// A configuration that a mount cannot be taken over with, while a VM runs.
func TestADaemonThatCannotTakeTheMountLeavesItToTheNext(t *testing.T) {
	s := newService(t, "job-1")
	s.systemctl("start")
	d := s.runDisk("job-1")
	const conf = "/etc/clonefs/vm.conf"
	good, err := os.ReadFile(s.Path(conf))
	require.NoError(t, err)
	s.write(conf, bytes.ReplaceAll(good, []byte("OPTIONS="), []byte("OPTIONS=--guest-serial=unique ")), 0o644)
	_, err = s.TryRun("systemctl", "restart", unit)
	require.Error(t, err)
	s.logged("--guest-serial is keep there, unique here", "waits for a daemon that can serve it")
	require.Len(t, s.mounts(), 1)

	s.write(conf, good, 0o644)
	s.eventually("ActiveState", "active") // systemd tries again all the time
	s.requireMapped("job-1")
	d.end()
	s.systemctl("stop")
}

func TestARestartWithoutRoomForTheMountWaitsUntilItIsNotUsed(t *testing.T) {
	s := newService(t, "job-1")
	s.write(filepath.Join("/etc/systemd/system", unit+".d", "none.conf"), []byte("[Service]\nFileDescriptorStoreMax=0\n"), 0o644)
	s.Run(t, "systemctl", "daemon-reload")
	s.systemctl("start")
	daemon := s.property("MainPID")
	d := s.runDisk("job-1")
	s.systemctl("restart", "--no-block")
	s.logged("systemd keeps no descriptors for the service", "the mount is in use and stays")
	require.Equal(t, daemon, s.property("MainPID"))
	d.end()
	require.Eventually(t, func() bool { return s.property("ActiveState") == "active" && s.property("MainPID") != daemon }, container.Patience, 50*time.Millisecond)
	s.requireMapped("job-1")
}

// What systemd asks for is told apart at the last moment.
func TestAMountThatIsNotUsedIsThereAllTheTimeOfARestart(t *testing.T) {
	s := newService(t, "job-1")
	s.systemctl("start")
	before := s.mounts()
	s.systemctl("restart")
	require.Equal(t, before, s.mounts(), "it is the same mount")
	s.requireMapped("job-1")
}
