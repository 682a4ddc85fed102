//go:build linux

package systemd_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// unitCapabilities are those that SECURITY.md names.
const unitCapabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_LEASE |
	1<<unix.CAP_MKNOD | 1<<unix.CAP_SETFCAP | 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SYS_PTRACE

// The daemon gives up privileges by itself. What a command before it has shows
// what the unit takes away.
func TestTheUnitConfinesWhatItStarts(t *testing.T) {
	s := newService(t, "job-1")
	s.write("/etc/systemd/system/clonefs@.service.d/before.conf",
		[]byte("[Service]\nExecStartPre=sh -c 'cat /proc/self/status >/run/before'\n"), 0o644)
	s.Run(t, "systemctl", "daemon-reload")
	s.systemctl("start")
	before, err := os.ReadFile(s.Path("/run/before"))
	require.NoError(t, err)
	for name, status := range map[string]string{"a command before the daemon": string(before), "the daemon": s.processFile("status")} {
		t.Run(name, func(t *testing.T) {
			expected := fmt.Sprintf("%016x", boundingSet(t, s)&unitCapabilities)
			for field, want := range map[string]string{
				"CapPrm": expected, "CapEff": expected, "CapBnd": expected, "NoNewPrivs": "1",
				"Seccomp": "2", // SECCOMP_MODE_FILTER of seccomp(2)
			} {
				require.Equal(t, want, statusField(t, status, field), field)
			}
		})
	}
	// A mount namespace of the daemon's own is that of nobody else.
	require.Equal(t, s.namespace("1", "mnt"), s.namespace(s.property("MainPID"), "mnt"))
}

// A device that the unit does not name is refused to root; see "Device access"
// in the kernel's cgroup-v2.rst. Outside of the service it can be opened.
func TestTheUnitKeepsDevicesAway(t *testing.T) {
	s := newService(t, "job-1")
	s.systemctl("start")
	s.Run(t, "mknod", "/run/kmsg", "c", "1", "11")
	const open = `[ -z "$0" ] || echo 0 >"/sys/fs/cgroup/$0/cgroup.procs"; exec <"$1"`
	_, err := s.TryRun("sh", "-ec", open, "", "/run/kmsg")
	require.NoError(t, err)
	group := s.property("ControlGroup")
	_, err = s.TryRun("sh", "-ec", open, group, "/dev/fuse")
	require.NoError(t, err)
	_, err = s.TryRun("sh", "-ec", open, group, "/run/kmsg")
	require.ErrorContains(t, err, "Operation not permitted")
}

// boundingSet is what systemd itself may give.
func boundingSet(t *testing.T, s *service) uint64 {
	t.Helper()
	status, err := os.ReadFile(s.Path("/proc/1/status"))
	require.NoError(t, err)
	set, err := strconv.ParseUint(statusField(t, string(status), "CapBnd"), 16, 64)
	require.NoError(t, err)
	return set
}

// statusField returns a field of the text of a /proc/PID/status.
func statusField(t *testing.T, status, name string) string {
	t.Helper()
	_, after, found := strings.Cut(status, "\n"+name+":")
	require.True(t, found, "no %s in\n%s", name, status)
	value, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(value)
}

// namespace says which namespace of a type a process is in.
func (s *service) namespace(pid, kind string) string {
	s.t.Helper()
	return s.Run(s.t, "readlink", "/proc/"+pid+"/ns/"+kind)
}
