//go:build linux

package virtualbox_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// TestMachinesWithNativeIOUseTheirStoredImages boots VMs whose process reads and writes
// the stored image by way of the kernel alone, while VirtualBox's server goes on with
// the mapped one.
func TestMachinesWithNativeIOUseTheirStoredImages(t *testing.T) {
	l := newLab(t, virtualBoxForMachines(t))
	guests := []*guestMachine{{volume: "sata", bus: vbox.SATA}, {volume: "ide", bus: vbox.IDE}}
	for _, g := range guests {
		l.clone(guest, g.volume)
	}
	l.mounted("--native-io=VBoxHeadless,VirtualBoxVM", "--log-level=debug")
	for _, g := range guests {
		l.newGuestMachine(g)
	}
	for range 2 {
		before := len(l.mount.Log())
		l.boot(guests...)
		l.requireMarksInOwnClonesOnly(guests)
		l.requireGoldenUUIDs()
		log := l.mount.Log()[before:]
		require.Regexp(t, `rx \d+: OPEN n\d+ {RDWR`, log, "the VM has its disk open")
		require.Empty(t, diskIO.FindAllString(log, -1), "and reads and writes it without us")
	}
}

// diskIO finds requests to read and write beyond an image's header.
var diskIO = regexp.MustCompile(`rx \d+: (READ|WRITE) n\d+ {Fh \d+ \[[1-9].*`)
