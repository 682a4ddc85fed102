//go:build linux

package virtualbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

const (
	many   = 200
	copied = 5 // by VirtualBox itself, for comparison
)

// TestTwoHundredClonesMadeAtOnceRegister makes them with reflinks, as a CI
// harness would, beside a mount that is already there.
func TestTwoHundredClonesMadeAtOnceRegister(t *testing.T) {
	l := newLab(t, virtualBox(t))
	l.shareBlocks()
	template := filepath.Join(l.source, "golden")
	require.NoError(t, os.Mkdir(template, 0o755))
	run(t, "cp", goldenFile(t, dynamic, disk), template)
	l.mounted()

	start := time.Now()
	daemon.Run(t, "clone", "--count", fmt.Sprint(many), template, filepath.Join(l.source, "job-%03d"))
	cloning := time.Since(start)

	start = time.Now()
	uuids := map[string]bool{}
	for i := range many {
		name := fmt.Sprintf("job-%03d", i+1)
		medium := l.vb.HardDisk(l.presented(name, disk))
		require.Equal(t, uuidText(presentedUUID(name, field(t, goldenFile(t, dynamic, disk), createAt))), medium.UUID)
		uuids[medium.UUID] = true
	}
	require.Len(t, uuids, many)
	require.Len(t, l.vb.HardDisks(), many)
	registering := time.Since(start)

	start = time.Now()
	for i := range copied {
		l.vb.Manage("clonemedium", "disk", l.presented("job-001", disk), filepath.Join(filepath.Dir(l.source), fmt.Sprintf("copy-%d.vdi", i)))
	}
	t.Logf("%d clones: %v each to make, %v each to register; VBoxManage clonemedium of the same image: %v each",
		many, (cloning / many).Round(10*time.Microsecond), (registering / many).Round(time.Millisecond),
		(time.Since(start) / copied).Round(time.Millisecond))
}

// shareBlocks puts a file system under the source whose files can share blocks.
func (l *lab) shareBlocks() {
	l.t.Helper()
	device := filepath.Join(filepath.Dir(l.source), "device")
	require.NoError(l.t, os.WriteFile(device, nil, 0o600))
	require.NoError(l.t, os.Truncate(device, 1<<30))
	if _, err := exec.LookPath("mkfs.xfs"); err != nil {
		run(l.t, "../../scripts/needs.sh", "xfsprogs")
	}
	run(l.t, "mkfs.xfs", "-q", "-m", "reflink=1", device)
	run(l.t, "mount", "-o", "loop", device, l.source)
	l.t.Cleanup(func() { require.NoError(l.t, unix.Unmount(l.source, 0)) })
}
