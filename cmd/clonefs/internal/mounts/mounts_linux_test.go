package mounts

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const mountinfo = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
36 27 0:53 / /mnt/vm rw,nosuid,nodev shared:7 master:1 - fuse.clonefs dir:/srv/my\040vms rw,user_id=0
37 27 0:54 / /mnt/a\040b\134c\012d rw - fuse.clonefs zfs:tank/ci rw
38 36 0:55 / /mnt/vm/sub rw - tmpfs  rw
39 27 0:56 / /mnt/vm2 rw - tmpfs tmpfs rw
40 36 0:57 / /mnt/vm rw - tmpfs tmpfs rw
`

func parsed(t *testing.T) Table {
	t.Helper()
	table, err := parse(strings.NewReader(mountinfo))
	require.NoError(t, err)
	return table
}

func TestParseUndoesTheKernelsEscapes(t *testing.T) {
	table := parsed(t)
	require.Len(t, table, 7)
	require.Equal(t, Mount{ID: 36, ParentID: 27, Device: "0:53", Dir: "/mnt/vm", Type: "fuse.clonefs", Source: "dir:/srv/my vms"}, table[2])
	require.Equal(t, "/mnt/a b\\c\nd", table[3].Dir)
	require.Empty(t, table[4].Source, "tmpfs may be mounted with no source")
}

func TestParseRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, line := range []string{"hello", "1 2 0:1 / /x rw", "a b 0:1 / /x rw - tmpfs tmpfs rw"} {
		_, err := parse(strings.NewReader(line))
		require.ErrorContains(t, err, line)
	}
}

func TestAtFindsTheTopmostMount(t *testing.T) {
	m, ok := parsed(t).At("/mnt/vm")
	require.True(t, ok)
	require.Equal(t, 40, m.ID)
	_, ok = parsed(t).At("/mnt")
	require.False(t, ok)
}

func TestHoldingFindsTheMountOfAPath(t *testing.T) {
	for path, id := range map[string]int{"/mnt/vm/job-1": 40, "/mnt/vm/sub/x": 38, "/mnt/vm2": 39, "/mnt/vm3": 27, "/": 27} {
		m, ok := parsed(t).Holding(path)
		require.True(t, ok, path)
		require.Equal(t, id, m.ID, path)
	}
}

func TestCloneFSListsOurMountsOnly(t *testing.T) {
	ours := parsed(t).CloneFS()
	require.Len(t, ours, 2)
	require.Equal(t, "zfs:tank/ci", ours[1].Source)
}

func TestOnFindsWhatIsMountedOnAMount(t *testing.T) {
	table := parsed(t)
	on := table.On(table[2])
	require.Len(t, on, 2)
	require.Equal(t, "/mnt/vm/sub", on[0].Dir)
}

func TestReadFindsTheMountOfProc(t *testing.T) {
	table, err := Read()
	require.NoError(t, err)
	m, ok := table.Holding("/proc/self")
	require.True(t, ok)
	require.Equal(t, "proc", m.Type)
}
