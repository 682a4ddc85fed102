package zfs

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// recordedTable returns the recorded table of mounts.
func recordedTable(t *testing.T, recording string) []mount {
	t.Helper()
	table, err := parseMountinfo(section(t, recording, "cat", "/proc/self/mountinfo"))
	require.NoError(t, err)
	return table
}

func TestTheRecordedTableOfMountsIsUnderstood(t *testing.T) {
	eachRecording(t, func(t *testing.T, recording string) {
		byPoint := make(map[string]mount)
		for _, m := range recordedTable(t, recording) {
			byPoint[m.point] = m
		}
		top := "/tmp/tank/vm images"
		require.Equal(t, source+"/job 2", byPoint[top+"/job 2"].source)
		require.Equal(t, source+"/ ", byPoint[top+"/ "].source)
		require.Equal(t, source+"/legacy", byPoint[`/tmp/by hand\`].source, "mounted by hand")
		require.True(t, byPoint[top+"/ro"].readOnly, "a read-only dataset")
		require.True(t, byPoint["/tmp/legacy-ro"].readOnly, "mounted read-only by hand")
		require.False(t, byPoint[top+"/job-1"].readOnly)
		require.Equal(t, "/dir", byPoint["/tmp/bind"].root)
		require.False(t, byPoint["/tmp/bind"].isZFS(), "a part of a file system")
		require.False(t, byPoint[top+"/job-1/.zfs/snapshot/of a clone"].isZFS(), "a snapshot")
		require.True(t, byPoint[top+"/.zfs"].isZFS())
		require.NotContains(t, byPoint, top+"/unmounted")
		require.NotContains(t, byPoint, top+"/off")
	})
}

func TestAMountinfoLineIsTakenApart(t *testing.T) {
	tests := map[string]struct {
		line string
		want mount
	}{
		"without optional fields": {
			`31 29 0:27 / /tank/a rw - zfs tank/a rw,xattr`,
			mount{id: 31, parent: 29, device: unix.Mkdev(0, 27), root: "/", point: "/tank/a", fsType: "zfs", source: "tank/a"},
		},
		"with optional fields": {
			`31 29 254:3 / /tank/a rw shared:1 master:7 - zfs tank/a rw`,
			mount{id: 31, parent: 29, device: unix.Mkdev(254, 3), root: "/", point: "/tank/a", fsType: "zfs", source: "tank/a"},
		},
		"a minor number of more than eight bits": {
			`31 29 0:70000 / /tank/a rw - zfs tank/a rw`,
			mount{id: 31, parent: 29, device: unix.Mkdev(0, 70000), root: "/", point: "/tank/a", fsType: "zfs", source: "tank/a"},
		},
		"escaped characters": {
			`31 29 0:27 / /tank/a\040\011\012\134b rw - zfs tank/a\040b rw`,
			mount{id: 31, parent: 29, device: unix.Mkdev(0, 27), root: "/", point: "/tank/a \t\n\\b", fsType: "zfs", source: "tank/a b"},
		},
		"spaces that older OpenZFS does not escape": {
			`31 29 0:27 / /tank/a rw - zfs tank/a b  c rw`,
			mount{id: 31, parent: 29, device: unix.Mkdev(0, 27), root: "/", point: "/tank/a", fsType: "zfs", source: "tank/a b  c"},
		},
		"no source": {
			`31 29 0:27 / /mnt rw - tmpfs  rw`,
			mount{id: 31, parent: 29, device: unix.Mkdev(0, 27), root: "/", point: "/mnt", fsType: "tmpfs"},
		},
		"read-only as one mount of several": {
			`31 29 0:27 / /tank/a ro,noatime - zfs tank/a rw`,
			mount{id: 31, parent: 29, device: unix.Mkdev(0, 27), root: "/", point: "/tank/a", fsType: "zfs", source: "tank/a", readOnly: true},
		},
		"read-only as a file system": {
			`31 29 0:27 / /tank/a rw - zfs tank/a ro,xattr`,
			mount{id: 31, parent: 29, device: unix.Mkdev(0, 27), root: "/", point: "/tank/a", fsType: "zfs", source: "tank/a", readOnly: true},
		},
		"an option that only begins as read-only": {
			`31 29 0:27 / /tank/a rw - zfs tank/a rw,root=ro`,
			mount{id: 31, parent: 29, device: unix.Mkdev(0, 27), root: "/", point: "/tank/a", fsType: "zfs", source: "tank/a"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			table, err := parseMountinfo(test.line + "\n")
			require.NoError(t, err)
			require.Equal(t, []mount{test.want}, table)
		})
	}
}

func TestAMountinfoLineThatIsNotUnderstoodIsAnError(t *testing.T) {
	for _, line := range []string{
		"", "31", `31 29 0:27 / /tank/a rw zfs tank/a rw`, `31 29 0:27 / /tank/a - zfs tank/a rw`,
		`x 29 0:27 / /tank/a rw - zfs tank/a rw`, `31 x 0:27 / /tank/a rw - zfs tank/a rw`,
		`31 29 27 / /tank/a rw - zfs tank/a rw`, `31 29 0:x / /tank/a rw - zfs tank/a rw`, `31 29 0:27 / /tank/a rw - zfs`,
	} {
		_, err := parseMountinfo(line + "\n")
		require.Error(t, err, "%q", line)
	}
}
