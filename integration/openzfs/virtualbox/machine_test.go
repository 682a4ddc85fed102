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

// prepareToBoot gives a VM what it needs to run.
func (l *lab) prepareToBoot(name string) {
	l.T.Helper()
	vm := l.vb.Machine(name)
	vm.MakeSmall()
	// VirtualBox and qemu's emulation of nested paging take each other's page
	// faults for ever: seen with VirtualBox 7.2.22 on qemu 7.2.
	vm.Set("--nested-paging", "off")
}

// boot starts these VMs at once, waits until all have switched themselves off, and
// returns what they told. Each has a disk that depends on this image of its own or
// of all, which are on the mount.
func (l *lab) boot(image func(vm string) string, names ...string) map[string]vbox.GuestReport {
	l.T.Helper()
	began := time.Now()
	for _, name := range names {
		l.vb.Machine(name).Start()
	}
	reports := make(map[string]vbox.GuestReport)
	for _, name := range names {
		vm := l.vb.Machine(name)
		vm.AwaitOff(bootPatience)
		report, err := vbox.ParseGuestReport(vm.SerialOutput())
		require.NoError(l.T, err, "%s\n%s", name, vm.Log())
		require.Contains(l.T, vm.Log(), "Endpoint for file '"+image(name)+"'")
		l.T.Logf("%s: boot %d, disk %s, mark %08x, off %.0f s after the first start",
			name, report.Boots, report.Serial, report.Mark, time.Since(began).Seconds())
		reports[name] = report
	}
	return reports
}

// requireMarks requires that what each VM wrote is in what its own clone stores,
// and in no other's that booted.
func (l *lab) requireMarks(reports map[string]vbox.GuestReport) {
	l.T.Helper()
	for clone := range reports {
		image := l.read(l.stored(clone))
		for writer, report := range reports {
			require.Equal(l.T, writer == clone, bytes.Contains(image, vbox.Filled(report.Mark)), "%s has the mark of %s", clone, writer)
		}
	}
}

// requireBoots requires that each VM has seen its disk boot this often.
func requireBoots(t testing.TB, boots uint32, reports map[string]vbox.GuestReport) {
	t.Helper()
	for name, report := range reports {
		require.Equal(t, boots, report.Boots, "%s's count of its boots", name)
	}
}
