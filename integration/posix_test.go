package integration

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/posixtest"
	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
)

// linuxDiffers are the cases of go-fuse's suite that no local Linux file system
// passes; go-fuse itself leaves them out when it runs the suite on a plain
// directory. FcntlFlockLocksFile wants two descriptors of one process to
// exclude each other, which POSIX record locks never do: they belong to the
// process.
var linuxDiffers = []string{"FcntlFlockLocksFile"}

// go-fuse's own suite of what a POSIX file system does.
func TestTheMountIsAPOSIXFileSystem(t *testing.T) {
	for name, run := range posixtest.All {
		if slices.Contains(linuxDiffers, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m := mount(t, fs.Options{}, "vm")
			if name == "XAttrLarge" {
				backWithLargeXattrs(t, m.source+"/vm")
			}
			run(t, m.mountpoint+"/vm")
		})
	}
}

// backWithLargeXattrs puts a small file system on dir that has extended
// attributes of 64 KiB, which ext4 has not: Btrfs and XFS have, and tmpfs since
// Linux 6.6.
func backWithLargeXattrs(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, syscall.Mount("clonefs-test", dir, "tmpfs", 0, "size=16m"))
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return syscall.Unmount(dir, 0) == nil }, 5*time.Second, 10*time.Millisecond,
			"the mount hears of the last close(2) a moment after it")
	})
}
