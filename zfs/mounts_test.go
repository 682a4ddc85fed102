package zfs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// number gives the mounts of a table numbers, as a tracker does at first sight.
func number(table []mount) []tracked {
	var t tracker
	t.update(table, false)
	return t.table
}

// points are the mount points of what is reachable in a table.
func points(table []mount) []string {
	var all []string
	for _, m := range reachable(number(table)) {
		all = append(all, m.point)
	}
	return all
}

func TestOnlyMountsThatTheirMountPointLeadsToAreReachable(t *testing.T) {
	root := mount{id: 1, parent: 0, point: "/", root: "/", fsType: "ext4"}
	zfs := func(id, parent int, point string) mount {
		return mount{id: id, parent: parent, point: point, root: "/", fsType: "zfs", source: "tank" + point}
	}
	other := func(id, parent int, point, fsType string) mount {
		return mount{id: id, parent: parent, point: point, root: "/", fsType: fsType}
	}
	tests := map[string]struct {
		table []mount
		want  []string
	}{
		"one beside the other":                {[]mount{root, zfs(2, 1, "/a"), zfs(3, 1, "/b")}, []string{"/a", "/b"}},
		"one within the other":                {[]mount{root, zfs(2, 1, "/a"), zfs(3, 2, "/a/b")}, []string{"/a", "/a/b"}},
		"one over the other":                  {[]mount{root, zfs(2, 1, "/a"), zfs(3, 2, "/a")}, []string{"/a"}},
		"another file system over it":         {[]mount{root, zfs(2, 1, "/a"), other(3, 2, "/a", "tmpfs")}, nil},
		"another over a directory above it":   {[]mount{root, zfs(2, 1, "/a/b"), other(3, 1, "/a", "tmpfs")}, nil},
		"another over the mount above it":     {[]mount{root, zfs(2, 1, "/a"), zfs(3, 2, "/a/b"), other(4, 2, "/a", "tmpfs")}, nil},
		"another over the root":               {[]mount{root, zfs(2, 1, "/a"), other(3, 1, "/", "tmpfs")}, nil},
		"a name that only begins like it":     {[]mount{root, zfs(2, 1, "/ab"), other(3, 1, "/a", "tmpfs")}, []string{"/ab"}},
		"below a mount over another":          {[]mount{root, zfs(2, 1, "/a"), other(3, 2, "/a", "tmpfs"), zfs(4, 3, "/a/b")}, []string{"/a/b"}},
		"below a FUSE mount":                  {[]mount{root, other(2, 1, "/f", "fuse.clonefs"), zfs(3, 2, "/f/a")}, nil},
		"below ZFS on FUSE":                   {[]mount{root, other(2, 1, "/f", "fuse.zfs"), zfs(3, 2, "/f/a")}, []string{"/f", "/f/a"}},
		"without a root, as in a chroot":      {[]mount{zfs(2, 1, "/a"), zfs(3, 2, "/a/b")}, []string{"/a", "/a/b"}},
		"twice, of which one is covered":      {[]mount{root, zfs(2, 1, "/a"), zfs(3, 1, "/b"), other(4, 2, "/a", "tmpfs")}, []string{"/b"}},
		"a part of a file system":             {[]mount{root, {id: 2, parent: 1, point: "/a", root: "/dir", fsType: "zfs"}}, nil},
		"a snapshot":                          {[]mount{root, {id: 2, parent: 1, point: "/a", root: "/", fsType: "zfs", source: "tank@a"}}, nil},
		"a table that names itself as parent": {[]mount{{id: 1, parent: 1, point: "/", root: "/", fsType: "ext4"}, zfs(2, 1, "/a")}, []string{"/a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, points(test.table)) })
	}
}

func TestWhatIsRecordedAsMountedIsReachable(t *testing.T) {
	eachRecording(t, func(t *testing.T, recording string) {
		table := recordedTable(t, recording)
		var want []string
		for _, m := range table {
			if m.isZFS() {
				want = append(want, m.point)
			}
		}
		require.Equal(t, want, points(table))
		require.Greater(t, len(want), 20)
	})
}
