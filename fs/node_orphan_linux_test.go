package fs

import (
	"os"
	"sync"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// A removal and the kernel's word that it has forgotten the file may come at one
// moment: whichever is first, no descriptor is left to keep the volume busy.
func TestAFileThatIsForgottenWhileItIsRemovedLeavesNoDescriptor(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, os.WriteFile(path+"/disk.vdi", nil, 0o600))
	dir, err := unix.Open(path, unix.O_PATH, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(dir) })
	m := newMirror(noVolumes{}, Options{})
	vol := newVolume(Volume{Dir: path, Identity: "dir:a"}, vdi.KeepGuestSerial, 1)

	for range 20000 {
		var out fuse.EntryOut
		found, err := m.root.child(vol, dir, "disk.vdi", &out)
		require.NoError(t, err)
		known := m.raw.enter(m.root, "disk.vdi", found, false, &out)
		victim := m.root.victim(dir, "disk.vdi")
		require.NotNil(t, victim)

		var both sync.WaitGroup
		both.Go(func() { victim.settle(nil) })
		both.Go(func() { m.raw.Forget(known.nodeID, 1) })
		both.Wait()
		require.False(t, m.orphans.any())
		require.ErrorIs(t, victim.file.Close(), os.ErrClosed)
	}
}
