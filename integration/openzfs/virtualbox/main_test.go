//go:build linux

// Package virtualbox_test has a real VirtualBox and real OpenZFS meet on a mount
// of clonefs, in the guest of package guest or, on a machine that has ZFS itself,
// there. It needs root, and for the first time some minutes more than package
// openzfs to make a disk with VirtualBox for the guest.
package virtualbox_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/clonefs/clonefs/integration/openzfs/guest"
	"github.com/clonefs/clonefs/integration/virtualbox/namespace"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		fmt.Println("skipped: mounting and VirtualBox's chroot need root")
		os.Exit(0)
	}
	if exists("/dev/zfs") {
		namespace.Enter()
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
		Guest:    func() (guest.Options, error) { return guestOptions(dir) },
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
