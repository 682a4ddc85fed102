//go:build linux

// Package virtualbox_test has a real VirtualBox and real OpenZFS meet on a mount
// of clonefs, in the guest of package guest, also on a machine that has ZFS
// itself. Package vbox's other tests have a mount namespace of their own; these
// must not: the kernel mounts a snapshot that is entered in the namespace that the
// machine began with, and no other sees it. It needs root, and for the first time
// some minutes more than package openzfs to make a disk with VirtualBox for the
// guest.
package virtualbox_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/clonefs/clonefs/integration/openzfs/guest"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		fmt.Println("skipped: making VirtualBox's chroot needs root")
		os.Exit(0)
	}
	os.Exit(runTests(m))
}

// runTests runs the tests and returns the exit status.
func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "clonefs-boot-disk-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return guest.Main(m, guest.Tests{
		Programs: map[string]string{"clonefs": "github.com/clonefs/clonefs/cmd/clonefs"},
		Sources:  []string{"../../../cmd/clonefs", "../../../dir", "../../../fs", "../../../vdi", "../../../zfs"},
		Always:   true,
		// VirtualBox in an emulated processor (AMD-V in qemu's TCG) brings the guest's
		// kernel to a standstill at times, which no limit in the tests ends.
		Freezes: 10 * time.Minute,
		Guest:   func() (guest.Options, error) { return guestOptions(dir) },
	})
}
