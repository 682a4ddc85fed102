//go:build linux

// Package systemd_test installs clonefs and its unit into a real systemd, a
// container of its own for each test, and uses them as an administrator does:
// what systemd is told is systemctl(1), and what comes of it is looked at on the
// mount. It needs root and the package systemd, which need not run the machine.
package systemd_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/virtualbox/namespace"
)

func TestMain(m *testing.M) {
	if image, ok := os.LookupEnv(diskVariable); ok {
		if err := useDisk(image); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		fmt.Println("skipped: running systemd in namespaces needs root")
		os.Exit(0)
	}
	namespace.Enter()
	os.Exit(daemon.Main(m))
}
