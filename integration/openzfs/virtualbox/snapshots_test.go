//go:build linux

package virtualbox_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// A shared is a snapshot's image as the disk of several VMs.
type shared struct {
	*lab
	mtype string // VirtualBox's word for how it is shared
	vms   []string
}

// snapshot is the name of the volume.
func (s shared) snapshot() string { return "job-1@" + s.mtype }

// base is the image's path on the mount, whichever VM it is for.
func (s shared) base(string) string { return s.presented(s.snapshot()) }

// TestASnapshotIsADiskThatVMsShare has VMs write to one image that is read-only at
// once, which they do to differencing images of their own.
func TestASnapshotIsADiskThatVMsShare(t *testing.T) {
	l := newLab(t)
	l.step(t, "a clone is mounted with its snapshots", func(l *lab) {
		l.makeGolden()
		l.Clone("golden@v1", "ci/job-1")
		l.mount("--snapshots")
	})
	for _, mtype := range []string{"immutable", "multiattach"} {
		l.step(t, mtype, func(l *lab) {
			s := shared{lab: l, mtype: mtype, vms: []string{mtype + "-1", mtype + "-2"}}
			s.ZFS("snapshot", s.Dataset("ci/"+s.snapshot()))
			s.attach()
			s.bootAll()
			s.vb.StopServer()
			s.requireDifferences()
			s.giveBack()
		})
	}
}

// attach attaches the image to all VMs.
func (s shared) attach() {
	s.T.Helper()
	for i, name := range s.vms {
		vm := s.vb.NewMachine(name, vbox.SATA)
		if i == 0 && s.mtype == "multiattach" {
			// VirtualBox takes this type only for what is in a VM's registry.
			vm.Attach(s.base(name))
			vm.Detach()
		}
		vm.Attach(s.base(name), "--mtype", s.mtype)
		s.prepareToBoot(name)
	}
	s.requireDifferences()
}

// requireDifferences requires that the image is accessible with the UUID that is
// the snapshot's own, that each VM has a differencing image of it in its own
// directory, and returns these.
func (s shared) requireDifferences() map[string]vbox.Medium {
	s.T.Helper()
	disks := s.vb.HardDisks()
	base := disks[s.base("")]
	require.Equal(s.T, "created", base.State)
	require.Equal(s.T, s.presentedUUID(s.snapshot()), base.UUID)
	require.Contains(s.T, base.Type, s.mtype)
	differences := make(map[string]vbox.Medium)
	for _, medium := range disks {
		for _, name := range s.vms {
			if medium.Parent == base.UUID && strings.Contains(medium.Location, "/vms/"+name+"/") {
				require.Equal(s.T, "created", medium.State, medium.Location)
				differences[name] = medium
			}
		}
	}
	require.Len(s.T, differences, len(s.vms), "%v", disks)
	return differences
}

// bootAll boots all VMs at once, and requires that what each wrote is in its own
// differencing image only.
func (s shared) bootAll() {
	s.T.Helper()
	before := s.read(s.base(""))
	reports := s.boot(s.base, s.vms...)
	requireBoots(s.T, 1, reports)
	for owner, medium := range s.requireDifferences() {
		image := s.read(medium.Location)
		for writer, report := range reports {
			require.Equal(s.T, writer == owner, bytes.Contains(image, vbox.Filled(report.Mark)), "%s has the mark of %s", owner, writer)
		}
	}
	require.True(s.T, bytes.Equal(before, s.read(s.base(""))), "the image has changed")
}

// giveBack has VirtualBox forget the image, and destroys the snapshot.
func (s shared) giveBack() {
	s.T.Helper()
	differences := s.requireDifferences()
	for _, name := range s.vms {
		s.vb.Machine(name).Detach()
		s.vb.Manage("closemedium", "disk", differences[name].UUID, "--delete")
	}
	s.vb.Manage("closemedium", "disk", s.base(""))
	require.NotContains(s.T, s.vb.HardDisks(), s.base(""))
	s.Eventually("zfs", "destroy", s.Dataset("ci/"+s.snapshot()))
	require.NoDirExists(s.T, s.presented(s.snapshot()))
}
