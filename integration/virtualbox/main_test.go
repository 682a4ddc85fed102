//go:build linux

// Package virtualbox_test puts clonefs under a real VirtualBox: it registers,
// attaches, changes and boots clones from a mount, and looks at every step at
// the bytes that are stored. It needs root and, for the first time, some minutes
// to make a chroot with VirtualBox in it.
package virtualbox_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/virtualbox/namespace"
	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		fmt.Println("skipped: mounting and VirtualBox's chroot need root")
		os.Exit(0)
	}
	namespace.Enter()
	if err := vbox.InstallTools(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(daemon.Main(m))
}
