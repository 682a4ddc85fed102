//go:build linux

package systemd_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// systemctl returns when the service has told that it is ready, so nothing here
// waits for the mount.
func TestAServiceThatIsEnabledAndStartedPresentsUUIDs(t *testing.T) {
	s := newService(t, "job-1", "job-2")
	s.systemctl("enable", "--now")
	s.requireMapped("job-1")
	s.requireMapped("job-2")
	require.Equal(t, "active", s.property("ActiveState"))
	require.Equal(t, "enabled", s.property("UnitFileState"))
	require.Len(t, s.mounts(), 1)
}

func TestAServiceThatCannotMountSaysWhyInTheJournal(t *testing.T) {
	s := newService(t, "job-1")
	require.NoError(t, os.Remove(s.Path(mountpoint)))
	_, err := s.TryRun("systemctl", "start", unit)
	require.Error(t, err)
	require.Equal(t, "exit-code", s.property("Result"))
	s.logged("clonefs: ", mountpoint)
}

func TestStoppingAServiceUnmounts(t *testing.T) {
	s := newService(t, "job-1")
	s.systemctl("start")
	s.requireMapped("job-1")
	s.systemctl("stop")
	require.Empty(t, s.mounts())
	require.Equal(t, "inactive", s.property("ActiveState"))
	require.Equal(t, "success", s.property("Result"))
	require.NoFileExists(t, s.disk("job-1"))
}

// The daemon has the time of TimeoutStopSec until systemd kills it.
func TestStoppingAServiceThatIsInUseWaitsForWhoUsesIt(t *testing.T) {
	s := newService(t, "job-1")
	s.systemctl("start")
	daemon := s.property("MainPID")
	end := s.use("job-1")

	s.systemctl("stop", "--no-block")
	s.eventually("SubState", "stop-sigterm")
	s.logged("the mount is in use and stays", "cat (pid ")
	require.Equal(t, "5min", s.property("TimeoutStopUSec"))
	require.Equal(t, daemon, s.property("MainPID"))
	s.requireMapped("job-1")

	end()
	s.eventually("ActiveState", "inactive")
	require.Equal(t, "success", s.property("Result"))
	require.Empty(t, s.mounts())
}

func TestAServiceWhoseDaemonIsKilledIsBackWithTheSameUUIDs(t *testing.T) {
	s := newService(t, "job-1")
	s.systemctl("start")
	daemon := s.property("MainPID")
	s.Run(t, "kill", "-KILL", daemon)
	s.eventually("NRestarts", "1")
	s.eventually("ActiveState", "active")
	require.NotEqual(t, daemon, s.property("MainPID"))
	s.requireMapped("job-1")
	require.Len(t, s.mounts(), 1, "what the killed one has left is gone")
}
