//go:build linux

package virtualbox_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// The clones that VMs boot from, and one that VirtualBox formats.
var (
	booted    = []string{"job-1", "job-2"}
	formatted = "job-3"
)

// TestTenClonesOfOneImageAreTenDisks is what clonefs is there for, from the golden
// image to VMs that have written to their clones.
func TestTenClonesOfOneImageAreTenDisks(t *testing.T) {
	l := newLab(t)
	l.step(t, "VBoxManage makes a golden image on a compressed dataset", (*lab).makeGolden)
	l.step(t, "ten clones are made of its snapshot, and mounted", (*lab).makeClones)
	l.step(t, "by raw paths VirtualBox refuses the second", (*lab).attachRaw)
	l.step(t, "by mounted paths VirtualBox accepts all", (*lab).attachMounted)
	l.step(t, "they cost next to nothing", (*lab).requireCheap)
	l.step(t, "a new VBoxSVC finds all of them", func(l *lab) {
		l.vb.StopServer()
		l.requireAccessible()
	})
	l.step(t, "VirtualBox finds all of them after clonefs has been started again", func(l *lab) {
		l.remount()
		l.requireAccessible()
	})
	l.step(t, "VirtualBox finds all of them after the pool has been exported and imported", func(l *lab) {
		l.reimport()
		l.requireAccessible()
		l.requireChanged()
	})
	l.step(t, "what is written to one is in that one only", func(l *lab) {
		l.vb.Manage("mediumio", "--disk", l.presented(formatted), "formatfat", "--quick")
		l.requireChanged(formatted)
	})
	var first map[string]vbox.GuestReport
	l.step(t, "VMs boot from two of them, and write", func(l *lab) {
		for _, clone := range booted {
			l.prepareToBoot(clone)
		}
		first = l.boot(l.presented, booted...)
		requireBoots(l.T, 1, first)
		l.requireMarks(first)
	})
	l.step(t, "what they wrote is there after the pool has been exported and imported", func(l *lab) {
		l.reimport()
		l.requireMarks(first)
		second := l.boot(l.presented, booted...)
		requireBoots(l.T, 2, second)
		l.requireMarks(first)
		l.requireMarks(second)
	})
	l.step(t, "in the end every stored UUID is the golden image's", func(l *lab) {
		l.vb.StopServer()
		l.requireAccessible()
		l.vb.StopServer()
		l.requireGoldenUUIDs()
		l.requireChanged(append(booted, formatted)...)
		l.logCosts()
	})
}

func (l *lab) makeGolden() {
	l.vb.Manage("convertfromraw", writeRawDisk(l.T), l.golden(), "--format", "VDI")
	l.ZFS("snapshot", l.Dataset("golden@v1"))
	l.T.Logf("made by VirtualBox %s, with the UUID %s", l.vb.Version(), uuidText(storedUUID(l.T, l.golden())))
}

func (l *lab) makeClones() {
	for _, clone := range clones {
		l.Clone("golden@v1", "ci/"+clone)
	}
	l.mount()
}

func (l *lab) attachRaw() {
	first, second := clones[0], clones[1]
	l.vb.NewMachine(first, vbox.SATA).Attach(l.stored(first))
	err := l.vb.NewMachine(second, vbox.SATA).TryAttach(l.stored(second))
	require.ErrorContains(l.T, err, "Cannot register the hard disk '"+l.stored(second)+"'")
	require.ErrorContains(l.T, err, "already exists")
	require.ErrorContains(l.T, err, uuidText(storedUUID(l.T, l.golden())))
}

// attachMounted attaches each clone to a VM of its own, the first in place of its
// raw path.
func (l *lab) attachMounted() {
	for i, clone := range clones {
		vm := l.vb.Machine(clone)
		if i >= 2 { // the first two have VMs already
			vm = l.vb.NewMachine(clone, vbox.SATA)
		}
		vm.Attach(l.presented(clone))
	}
	l.requireAccessible()
	l.requireGoldenUUIDs()
}

// requireAccessible requires that VirtualBox has every clone in its registry, with
// the UUID that is the clone's own, and finds it accessible.
func (l *lab) requireAccessible() {
	l.T.Helper()
	disks := l.vb.HardDisks()
	for _, clone := range clones {
		medium := disks[l.presented(clone)]
		require.Equal(l.T, "created", medium.State, clone)
		require.Equal(l.T, l.presentedUUID(clone), medium.UUID, clone)
	}
}

// requireCheap requires that the ten clones together take less than a tenth of what
// the golden image takes.
func (l *lab) requireCheap() {
	golden, all := l.logCosts()
	require.Less(l.T, all, golden/10)
}

// logCosts prints what zfs list shows, and returns what the golden image and the
// clones together take, in bytes.
func (l *lab) logCosts() (golden, all int64) {
	l.T.Helper()
	l.Run("zpool", "sync", l.Name)
	var table strings.Builder
	for line := range strings.Lines(l.ZFS("list", "-Hp", "-r", "-o", "used,refer,name", l.Name)) {
		fields := strings.SplitN(strings.TrimSpace(line), "\t", 3)
		used, err := strconv.ParseInt(fields[0], 10, 64)
		require.NoError(l.T, err, line)
		refer, err := strconv.ParseInt(fields[1], 10, 64)
		require.NoError(l.T, err, line)
		name := strings.TrimPrefix(fields[2], l.Name+"/")
		switch {
		case name == "golden":
			golden = used
		case strings.HasPrefix(name, "ci/"):
			all += used
		default:
			continue
		}
		fmt.Fprintf(&table, "%8d KiB used, %6d KiB referred to: %s\n", used>>10, refer>>10, name)
	}
	l.T.Logf("%d clones together take %d KiB, the golden image %d KiB:\n%s", len(clones), all>>10, golden>>10, table.String())
	return golden, all
}
