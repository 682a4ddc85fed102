//go:build linux

package virtualbox_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// bootPatience is how long a VM may take from its start to its end: in the guest,
// where a VM's processor is emulated by software that is itself emulated, some 20 s
// with nothing else to do.
const bootPatience = 3 * time.Minute

// prepareToBoot gives a clone's VM what it needs to run.
func (l *lab) prepareToBoot(clone string) {
	l.t.Helper()
	vm := l.vb.Machine(clone)
	vm.MakeSmall()
	if !l.driverless {
		// VirtualBox and qemu's emulation of nested paging take each other's page
		// faults for ever: seen with VirtualBox 7.2.22 on qemu 7.2.
		vm.Set("--nested-paging", "off")
	}
}

// boot starts the VMs of these clones at once, waits until all have switched
// themselves off, and returns what they told.
func (l *lab) boot(clones ...string) map[string]vbox.GuestReport {
	l.t.Helper()
	began := time.Now()
	for _, clone := range clones {
		l.vb.Machine(clone).Start()
	}
	reports := make(map[string]vbox.GuestReport)
	for _, clone := range clones {
		vm := l.vb.Machine(clone)
		vm.AwaitOff(bootPatience)
		report, err := vbox.ParseGuestReport(vm.SerialOutput())
		require.NoError(l.t, err, "%s\n%s", clone, vm.Log())
		require.Contains(l.t, vm.Log(), "File system of '"+l.presented(clone)+"' is fuse")
		l.t.Logf("%s: boot %d, disk %s, mark %08x, off %.0f s after the first start",
			clone, report.Boots, report.Serial, report.Mark, time.Since(began).Seconds())
		reports[clone] = report
	}
	return reports
}

// requireMarks requires that what each VM wrote is in what its own clone stores,
// and in no other's that booted.
func (l *lab) requireMarks(reports map[string]vbox.GuestReport) {
	l.t.Helper()
	for clone := range reports {
		image := l.read(l.stored(clone))
		for writer, report := range reports {
			require.Equal(l.t, writer == clone, bytes.Contains(image, vbox.Filled(report.Mark)), "%s has the mark of %s", clone, writer)
		}
	}
}

// requireBoots requires that each VM has seen its clone boot this often.
func requireBoots(t testing.TB, boots uint32, reports map[string]vbox.GuestReport) {
	t.Helper()
	for clone, report := range reports {
		require.Equal(t, boots, report.Boots, "%s's count of its boots", clone)
	}
}
