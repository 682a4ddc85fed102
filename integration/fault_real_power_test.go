//go:build linux

package integration

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	// ioctlShutdown is XFS_IOC_GOINGDOWN, which is EXT4_IOC_SHUTDOWN too.
	ioctlShutdown = 0x8004587d
	// withoutLog is NOLOGFLUSH: not even the log in memory reaches the disk.
	withoutLog = 2
)

// powerFailures are file systems that can be ended as a power failure does. Btrfs
// has no such ioctl, so what its disk lies on is ended.
var powerFailures = []struct {
	name    string
	newDisk func(t *testing.T, base, at string) *disk
}{
	{"ext4", func(t *testing.T, base, at string) *disk { return newDisk(t, onExt4, 512<<20, base+"/image", at) }},
	{"xfs", func(t *testing.T, base, at string) *disk { return newDisk(t, onXFS, 512<<20, base+"/image", at) }},
	{"btrfs", func(t *testing.T, base, at string) *disk {
		below := newDisk(t, onExt4, 512<<20, base+"/image", base+"/below")
		d := newDisk(t, onBtrfs, 256<<20, base+"/below/image", at)
		d.below = below
		return d
	}},
}

// What was synced is there after the file system below was cut off from its disk in
// the middle of everything, with the daemon running on.
func TestWhatWasSyncedOutlivesAPowerFailureOfTheFileSystemBelow(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	for _, on := range powerFailures {
		t.Run(on.name, func(t *testing.T) {
			faults := []error{syscall.EIO, syscall.EROFS}
			s := newStruckLoad(t, func(base, at string) *disk { return on.newDisk(t, base, at) })
			for range 3 {
				s.strike(t, func() { s.disk.cutPower(t) }, faults...)
				s.requireAnswersOfDisk(t, faults...)
				s.disk.restorePower(t)
				s.check(t)
			}
			s.requireSound(t)
			s.load.mount.Unmount(t)
		})
	}
}

// cutPower keeps everything from the disk that is not there yet.
func (d *disk) cutPower(t *testing.T) {
	t.Helper()
	top, err := os.Open(d.at)
	require.NoError(t, err)
	defer top.Close()
	if d.below != nil {
		d.below.cutPower(t)
		_ = unix.Syncfs(int(top.Fd())) // so that it notices; somebody's write may have been first
		return
	}
	require.NoError(t, unix.IoctlSetPointerInt(int(top.Fd()), ioctlShutdown, withoutLog))
}

// restorePower mounts anew what is on the disk.
func (d *disk) restorePower(t *testing.T) {
	t.Helper()
	d.unmount(t)
	if d.below != nil {
		d.below.restorePower(t)
	}
	d.mount(t)
}
