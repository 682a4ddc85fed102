//go:build linux

package virtualbox_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// bootPatience is how long a VM may take from its start to its end. Four of them
// interpreted at once on two processors take some ten seconds.
const bootPatience = 2 * time.Minute

// TestMachinesBootFromMountedClones boots four VMs at once, three times, each
// from its own clone: with O_DIRECT and Linux AIO, and through the host's cache.
func TestMachinesBootFromMountedClones(t *testing.T) {
	l := newLab(t, virtualBoxForMachines(t))
	guests := []*guestMachine{
		{volume: "sata-1", bus: vbox.SATA}, {volume: "sata-2", bus: vbox.SATA},
		{volume: "ide-1", bus: vbox.IDE}, {volume: "ide-2", bus: vbox.IDE},
	}
	for _, g := range guests {
		l.clone(guest, g.volume)
	}
	l.mounted()
	for _, g := range guests {
		l.newGuestMachine(g)
	}
	for _, boot := range []string{"first boot", "second boot", "third boot, after a new mount"} {
		l.step(t, boot, func(l *lab) {
			if boot == "third boot, after a new mount" {
				l.vb.StopServer()
				l.mount.Remount(l.t)
			}
			l.boot(guests...)
			l.requireMarksInOwnClonesOnly(guests)
			l.requireGoldenUUIDs()
		})
	}
	l.step(t, "every guest saw the disk that the golden image's guest sees", func(l *lab) {
		stored := field(l.t, goldenFile(l.t, guest, disk), createAt)
		want := fmt.Sprintf("VB%08x-%08x", binary.LittleEndian.Uint32(stored[:4]), binary.LittleEndian.Uint32(stored[12:]))
		require.Equal(l.t, want, goldenSerial(t))
		for _, g := range guests {
			require.Equal(l.t, want, g.serial, g.volume)
		}
	})
	l.step(t, "the SATA disks were used with Linux AIO, the IDE disks through the host's cache", func(l *lab) {
		for _, g := range guests {
			path, log := l.presented(g.volume, disk), l.vb.Machine(g.volume).Log()
			require.Contains(l.t, log, "File system of '"+path+"' is fuse")
			async := strings.Contains(log, "AIOMgr: Endpoint for file '"+path+"'")
			require.Equal(l.t, g.bus == vbox.SATA, async, g.volume)
			// What VirtualBox says when it falls back to ordinary I/O.
			require.NotContains(l.t, log, "RTFileOpen")
		}
	})
}

// TestTheGuestSeesAnotherSerialNumberOnRequest: with --guest-serial=unique, one
// guest can tell two clones apart.
func TestTheGuestSeesAnotherSerialNumberOnRequest(t *testing.T) {
	l := newLab(t, virtualBoxForMachines(t))
	l.clone(guest, "job-1", "job-2")
	l.mounted("--guest-serial=unique")
	guests := []*guestMachine{{volume: "job-1", bus: vbox.IDE}, {volume: "job-2", bus: vbox.IDE}}
	for _, g := range guests {
		l.newGuestMachine(g)
	}
	l.boot(guests...)
	l.requireGoldenUUIDs()
	require.NotEqual(t, goldenSerial(t), guests[0].serial)
	require.NotEqual(t, goldenSerial(t), guests[1].serial)
	require.NotEqual(t, guests[0].serial, guests[1].serial)
}

// goldenSerial boots a copy of the golden image, without a mount, and returns
// the serial number that the guest saw.
func goldenSerial(t *testing.T) string {
	t.Helper()
	l := newLab(t, virtualBoxForMachines(t))
	l.clone(guest, "golden")
	l.mountpoint = l.source
	g := &guestMachine{volume: "golden", bus: vbox.IDE}
	l.newGuestMachine(g)
	l.boot(g)
	return g.serial
}

// A guestMachine is a VM that boots the guest of package vbox.
type guestMachine struct {
	volume, bus string

	serial string   // of the disk, as the guest saw it
	marks  []uint32 // one for each boot, as the guest told them
}

// virtualBoxForMachines returns a VirtualBox that can run VMs.
func virtualBoxForMachines(t testing.TB) *vbox.Session {
	t.Helper()
	inst, err := vbox.ForMachines()
	require.NoError(t, err)
	return inst.NewSession(t)
}

func (l *lab) newGuestMachine(g *guestMachine) {
	l.t.Helper()
	vm := l.vb.NewMachine(g.volume, g.bus)
	vm.MakeSmall()
	vm.Attach(l.presented(g.volume, disk))
}

// boot starts all machines, waits until all have switched themselves off, and
// notes what they told.
func (l *lab) boot(guests ...*guestMachine) {
	l.t.Helper()
	began := time.Now()
	for _, g := range guests {
		l.vb.Machine(g.volume).Start()
	}
	for _, g := range guests {
		vm := l.vb.Machine(g.volume)
		vm.AwaitOff(bootPatience)
		g.read(l.t, vm.SerialOutput())
		l.t.Logf("%s: serial %s, mark %08x, off %.1f s after the first start",
			g.volume, g.serial, g.marks[len(g.marks)-1], time.Since(began).Seconds())
	}
}

// read notes what the guest wrote to its serial port, which guest.S describes.
func (g *guestMachine) read(t testing.TB, lines []string) {
	t.Helper()
	report, err := vbox.ParseGuestReport(lines)
	require.NoError(t, err, g.volume)
	g.serial = report.Serial
	g.marks = append(g.marks, report.Mark)
	require.EqualValues(t, len(g.marks), report.Boots, "%s's count of its boots", g.volume)
}

// requireMarksInOwnClonesOnly requires that what each guest wrote at each boot
// is in what its clone stores, and in no other clone.
func (l *lab) requireMarksInOwnClonesOnly(guests []*guestMachine) {
	l.t.Helper()
	for _, own := range guests {
		content := l.storedDisk(own.volume)
		record := content[vbox.RecordSector*512:]
		require.Equal(l.t, vbox.RecordText, string(record[:12]))
		require.EqualValues(l.t, len(own.marks), binary.LittleEndian.Uint32(record[12:]))
		for i, mark := range own.marks {
			fill := content[(i+1)*vbox.FilledStep*512:]
			require.Equal(l.t, vbox.Filled(mark), fill[:len(vbox.Filled(mark))], "boot %d of %s", i+1, own.volume)
		}
		for _, other := range guests {
			for _, mark := range other.marks {
				require.Equal(l.t, own == other, bytes.Contains(content, vbox.Filled(mark)),
					"%s has the mark of %s", own.volume, other.volume)
			}
		}
	}
}

// storedDisk returns the content of a clone's disk as qemu-img reads it from
// what is stored.
func (l *lab) storedDisk(volume string) []byte {
	l.t.Helper()
	raw := filepath.Join(l.t.TempDir(), "disk.raw")
	run(l.t, "qemu-img", "convert", "-f", "vdi", "-O", "raw", l.stored(volume, disk), raw)
	content, err := os.ReadFile(raw)
	require.NoError(l.t, err)
	return content
}
