//go:build linux

package virtualbox_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// TestDifferencingImagesFindTheirParentsInTheirOwnClone has four clones of a
// base and its child: eight images with two stored UUIDs.
func TestDifferencingImagesFindTheirParentsInTheirOwnClone(t *testing.T) {
	l := newLab(t, virtualBox(t))
	l.clone(snapshot, numbered(snapshot, 4)...)
	l.mounted()

	l.step(t, "a child is refused while its own clone's parent is not registered", func(l *lab) {
		first, second := l.clones[0].name, l.clones[1].name
		l.vb.HardDisk(l.presented(first, base))
		_, err := l.vb.TryManage("showmediuminfo", "disk", l.presented(second, child))
		require.ErrorContains(l.t, err, "Parent medium with UUID {"+l.presentedUUID(second, base)+"}")
	})
	l.step(t, "every child has its own clone's base as its parent", func(l *lab) {
		for _, c := range l.clones {
			parent := l.vb.HardDisk(l.presented(c.name, base))
			got := l.vb.HardDisk(l.presented(c.name, child))
			require.Equal(l.t, parent.UUID, got.Parent)
			require.Equal(l.t, "normal (differencing)", got.Type)
			l.t.Logf("%s: %s -> %s", c.name, got.UUID, got.Parent)
		}
		l.requireGoldenUUIDs()
	})
	l.step(t, "a child's content is read through its parent", func(l *lab) {
		for _, c := range l.clones {
			content := l.readDisk(l.presented(c.name, child))
			require.Contains(l.t, content[:512], "FAT1", "from the child")
			require.Equal(l.t, strings.Repeat("\xbb", 64<<10), content[8<<20:8<<20+64<<10], "from the base")
		}
	})
	l.step(t, "a second snapshot's child is stored with its parent's stored UUID", func(l *lab) {
		volume := l.clones[0].name
		path := l.presented(volume, "second.vdi")
		l.vb.Manage("createmedium", "disk", "--filename", path, "--diffparent", l.presented(volume, child), "--format", "VDI")
		requireSameUUID(l.t, goldenFile(l.t, snapshot, child), createAt, l.stored(volume, "second.vdi"), linkageAt)
		require.Equal(l.t, l.presentedUUID(volume, child), l.vb.HardDisk(path).Parent)
		l.requireGoldenUUIDs()
	})
}

// TestASnapshotIsStoredBesideItsMountedDisk has VirtualBox itself make, restore
// and merge a differencing image inside a mounted clone.
func TestASnapshotIsStoredBesideItsMountedDisk(t *testing.T) {
	l := newLab(t, virtualBox(t))
	l.clone(dynamic, "job-1", "job-2")
	l.mounted()
	for _, c := range l.clones {
		vm := l.vb.NewMachine(c.name, vbox.SATA)
		vm.Set("--snapshot-folder", filepath.Join(l.mountpoint, c.name))
		l.attach(c)
	}
	l.step(t, "the child's stored link is the base's stored UUID", func(l *lab) {
		for _, c := range l.clones {
			l.vb.Manage("snapshot", c.name, "take", "before")
			image := filepath.Base(l.theChild(c.name))
			requireSameUUID(l.t, goldenFile(l.t, dynamic, disk), createAt, l.stored(c.name, image), linkageAt)
		}
	})
	l.step(t, "a new VBoxSVC on a new mount finds every child under its base", func(l *lab) {
		l.vb.StopServer()
		l.mount.Remount(l.t)
		disks := l.vb.HardDisks()
		require.Len(l.t, disks, 4)
		for _, c := range l.clones {
			medium := disks[l.theChild(c.name)]
			require.Equal(l.t, "created", medium.State)
			require.Equal(l.t, l.presentedUUID(c.name, disk), medium.Parent)
		}
	})
	l.step(t, "the snapshot is restored", func(l *lab) {
		l.vb.Manage("mediumio", "--disk", l.theChild("job-1"), "formatfat")
		l.vb.Manage("snapshot", "job-1", "restore", "before")
		require.Equal(l.t, l.presentedUUID("job-1", disk), l.vb.HardDisk(l.theChild("job-1")).Parent)
	})
	l.step(t, "the snapshot is merged into its base", func(l *lab) {
		for _, c := range l.clones {
			l.vb.Manage("mediumio", "--disk", l.theChild(c.name), "formatfat")
			content := l.readDisk(l.theChild(c.name))
			l.vb.Manage("snapshot", c.name, "delete", "before")
			require.Equal(l.t, content, l.readDisk(l.presented(c.name, disk)))
			require.Empty(l.t, l.children(c.name))
		}
		l.vb.StopServer()
		l.requireRegistered()
		l.requireGoldenUUIDs()
	})
}

// children returns the paths of the images that VirtualBox named itself.
func (l *lab) children(volume string) []string {
	l.t.Helper()
	paths, err := filepath.Glob(l.presented(volume, "{*}.vdi"))
	require.NoError(l.t, err)
	return paths
}

// theChild returns the path of the one image that VirtualBox named itself.
func (l *lab) theChild(volume string) string {
	l.t.Helper()
	paths := l.children(volume)
	require.Len(l.t, paths, 1)
	return paths[0]
}
