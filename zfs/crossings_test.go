package zfs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASourceTellsWhereOtherFileSystemsAreMountedInAVolume(t *testing.T) {
	m := newMachine()
	m.clone("tank/ci", 1)
	m.clone("tank/ci/job-1", 2)
	s, _ := start(t, m, calm())
	job, _ := s.Volume("job-1")
	at := func(point string, device uint64) {
		m.change(func() {
			m.table = append(m.table, mount{id: 100 + len(m.table), parent: 1, device: device, root: "/", point: point, fsType: "ext4", source: "/dev/sda"})
			m.happened()
		})
	}
	require.Empty(t, s.Crossings(job, ""))
	at("/tank/ci/job-1/data", 500)
	at("/tank/ci/job-1/deep/er", 501)
	at("/tank/ci/job-1/same", job.Device)
	at("/tank/ci/job-1/covered", 502)
	at("/tank/ci/job-1/covered", job.Device)
	require.Equal(t, map[string]bool{"data": true, "same": false, "covered": false}, s.Crossings(job, ""), "what is mounted last counts")
	require.Equal(t, map[string]bool{"er": true}, s.Crossings(job, "deep"))
	require.Empty(t, s.Crossings(job, "data"))

	top, _ := s.Volume("")
	require.Equal(t, map[string]bool{"job-1": true}, s.Crossings(top, ""))
	job.Device = 0
	require.Empty(t, s.Crossings(job, ""), "a lookup does not know either")
	snapshot := snapshotVolume(top, "s", Dataset{})
	require.Empty(t, s.Crossings(snapshot, ""), "nor of a snapshot")
}
