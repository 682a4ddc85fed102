//go:build linux

package virtualbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// TestVirtualBoxAcceptsEveryClone follows 36 clones of four kinds of golden image
// through the life of a media registry. VirtualBox opens every image for writing
// when it attaches it, and writes the header back that it was presented: only
// what it finds after that, and what is stored after that, proves anything.
func TestVirtualBoxAcceptsEveryClone(t *testing.T) {
	l := newLab(t, virtualBox(t))
	l.clone(dynamic, numbered(dynamic, 24)...)
	l.clone(fixed, numbered(fixed, 4)...)
	l.clone(snapshot, numbered(snapshot, 4)...)
	l.clone(byQemu, numbered(byQemu, 4)...)
	l.mounted()

	l.step(t, "every clone is attached to a VM of its own", func(l *lab) {
		before := time.Now()
		for _, c := range l.clones {
			l.vb.NewMachine(c.name, vbox.SATA)
			l.attach(c)
		}
		l.requireRegistered()
		l.requireWrittenSince(before)
		l.requireGoldenUUIDs()
	})
	l.step(t, "clonefs ls tells the UUIDs that VirtualBox has", func(l *lab) {
		l.requireListed("dir:" + l.source)
		l.requireListed(l.mountpoint)
	})
	l.step(t, "a new VBoxSVC finds every medium under the same UUID", func(l *lab) {
		l.vb.StopServer()
		l.requireRegistered()
		l.requireGoldenUUIDs()
	})
	l.step(t, "a new mount presents every medium under the same UUID, to the same VBoxSVC", func(l *lab) {
		l.mount.Remount(l.t)
		l.requireRegistered()
	})
	l.step(t, "and to a new VBoxSVC", func(l *lab) {
		l.vb.StopServer()
		l.mount.Remount(l.t)
		l.requireRegistered()
	})
	l.step(t, "every clone is detached, closed, and attached again", func(l *lab) {
		for _, c := range l.clones {
			l.vb.Machine(c.name).Detach()
			l.closeMedia(c)
		}
		require.Empty(l.t, l.vb.HardDisks())
		for _, c := range l.clones {
			l.attach(c)
		}
		l.requireRegistered()
		l.vb.StopServer()
		l.requireRegistered()
	})
	l.step(t, "the clones are stored as they were", func(l *lab) {
		l.requireGoldenUUIDs()
		l.requireOnlyVirtualBoxsOwnFields()
	})
}

// requireWrittenSince requires that VirtualBox has written to every clone: a
// clone that was only read would prove nothing.
func (l *lab) requireWrittenSince(begin time.Time) {
	l.t.Helper()
	for _, c := range l.clones {
		list := images[c.golden]
		info, err := os.Stat(l.stored(c.name, list[len(list)-1]))
		require.NoError(l.t, err)
		require.True(l.t, info.ModTime().After(begin), "%s was not written", c.name)
	}
}

// attach attaches a clone's topmost image to the VM of its name. VirtualBox has
// to know the base of a differencing image first.
func (l *lab) attach(c clone) {
	l.t.Helper()
	list := images[c.golden]
	for _, image := range list[:len(list)-1] {
		l.vb.HardDisk(l.presented(c.name, image))
	}
	l.vb.Machine(c.name).Attach(l.presented(c.name, list[len(list)-1]))
}

// closeMedia makes VirtualBox forget a clone's images, children first.
func (l *lab) closeMedia(c clone) {
	l.t.Helper()
	list := images[c.golden]
	for i := range list {
		l.vb.Manage("closemedium", "disk", l.presented(c.name, list[len(list)-1-i]))
	}
}

// requireRegistered requires that exactly the images of all clones are
// registered, accessible, and under the UUIDs that the mount has to present.
func (l *lab) requireRegistered() {
	l.t.Helper()
	disks := l.vb.HardDisks()
	uuids, want := make(map[string]bool), 0
	for _, c := range l.clones {
		for _, image := range images[c.golden] {
			path := l.presented(c.name, image)
			require.Contains(l.t, disks, path)
			require.Equal(l.t, "created", disks[path].State, path)
			require.Equal(l.t, l.presentedUUID(c.name, image), disks[path].UUID, path)
			uuids[disks[path].UUID] = true
			want++
		}
	}
	require.Len(l.t, disks, want)
	require.Len(l.t, uuids, want)
	l.t.Logf("VirtualBox has %d media, all accessible, each under a UUID of its own", want)
}

// requireListed requires that clonefs ls of a source or a mount point lists the
// hard disks that VirtualBox has registered, under the same UUIDs.
func (l *lab) requireListed(where string) {
	l.t.Helper()
	var listing struct {
		Images []struct {
			Volume, Image, Presented string
			Duplicate                bool
		}
	}
	require.NoError(l.t, json.Unmarshal([]byte(daemon.Run(l.t, "ls", "--json", where)), &listing))
	disks := l.vb.HardDisks()
	require.Len(l.t, listing.Images, len(disks))
	for _, image := range listing.Images {
		require.Equal(l.t, disks[l.presented(image.Volume, image.Image)].UUID, image.Presented)
		require.False(l.t, image.Duplicate)
	}
}

// presentedUUID returns the text of the UUID that the mount has to present for
// a clone's image.
func (l *lab) presentedUUID(volume, image string) string {
	l.t.Helper()
	for _, c := range l.clones {
		if c.name == volume {
			return uuidText(presentedUUID(volume, field(l.t, goldenFile(l.t, c.golden, image), createAt)))
		}
	}
	require.FailNow(l.t, "no such clone", volume)
	return ""
}

// readDisk returns the disk's content as VirtualBox reads it.
func (l *lab) readDisk(path string) string {
	l.t.Helper()
	return l.vb.Manage("mediumio", "--disk", path, "cat")
}

// numbered returns names such as fixed-01.
func numbered(prefix string, count int) []string {
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("%s-%02d", prefix, i+1))
	}
	return names
}
