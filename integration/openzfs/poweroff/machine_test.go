//go:build linux

package poweroff_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/openzfs/pool"
	"github.com/clonefs/clonefs/integration/records"
	"github.com/clonefs/clonefs/vdi"
)

// A served is what the machine serves: clones, each with an image, on a mount.
type served struct {
	*pool.Pool
	at      string // the mount point
	writers []records.Writer
}

func TestInTheMachine(t *testing.T) {
	boot, err := strconv.ParseUint(os.Getenv(bootVariable), 10, 64)
	require.NoError(t, err)
	s := serve(t, boot)
	s.report(t)
	if os.Getenv(loadVariable) != "" {
		s.write(t)
	}
}

// serve mounts what is left of the last time, whose records are the writers'.
func serve(t *testing.T, boot uint64) *served {
	t.Helper()
	s := &served{Pool: &pool.Pool{T: t, Name: "power", Dir: "/pool"}, at: t.TempDir()}
	for i := range volumes {
		s.writers = append(s.writers, records.Writer{
			Name: fmt.Sprintf("job-%d", i+1), Salt: boot - 1, Sync: records.SyncFlags[i%len(records.SyncFlags)],
		})
	}
	device, err := filepath.EvalSymlinks(poolDevice)
	require.NoError(t, err)
	if boot == 1 {
		s.make(t, device)
	} else {
		s.Run("zpool", "import", "-o", "cachefile=none", "-d", "/dev", s.Name)
	}
	s.Run("clonefs", "mount", "zfs:"+s.Dataset("ci"), s.at)
	t.Cleanup(func() { s.Run("clonefs", "unmount", s.at) })
	return s
}

// make makes the pool, with clones of an image for the writers.
func (s *served) make(t *testing.T, device string) {
	t.Helper()
	// To partition a disk, zpool wants udev, which is not there.
	s.Run("sh", "-c", `printf 'n\np\n1\n\n\nw\n' | fdisk "$0"`, device)
	s.Run("zpool", "create", "-o", "cachefile=none", "-O", "mountpoint="+s.Dir, s.Name, device+"1")
	s.ZFS("create", s.Dataset("ci"))
	s.ZFS("create", s.Dataset("golden"))
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir, "golden", "disk.vdi"), golden(t), 0o600))
	s.ZFS("snapshot", s.Dataset("golden@v1"))
	for _, w := range s.writers {
		s.Clone("golden@v1", "ci/"+w.Name)
	}
}

func golden(t *testing.T) []byte {
	t.Helper()
	image, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	return image
}

func (s *served) presented(w records.Writer) string { return filepath.Join(s.at, w.Name, "disk.vdi") }
func (s *served) stored(w records.Writer) string {
	return filepath.Join(s.Dir, "ci", w.Name, "disk.vdi")
}

// report says what there is. It must be on the mount what is in the clones, with
// UUIDs that follow from the datasets.
func (s *served) report(t *testing.T) {
	t.Helper()
	original := createUUID(golden(t))
	names := make([]string, 0, volumes)
	for _, w := range s.writers {
		names = append(names, w.Name)
	}
	guids := s.GUIDs("ci", names...)
	for _, w := range s.writers {
		image, err := os.ReadFile(s.presented(w))
		require.NoError(t, err)
		stored, err := os.ReadFile(s.stored(w))
		require.NoError(t, err)
		require.Equal(t, original, createUUID(stored), "stored in %s", w.Name)
		require.Equal(t, pool.Present(original, "zfs:"+guids[w.Name]), createUUID(image), "presented in %s", w.Name)
		require.True(t, bytes.Equal(stored[vdi.HeaderSize:], image[vdi.HeaderSize:]), "%s behind the header", w.Name)
		modification, whole := records.Modification(image)
		require.True(t, whole || w.Salt == 0, "the header of %s is whole", w.Name)
		s.tell(message{Volume: w.Name, Found: &state{
			UUID: uuid.UUID(createUUID(image)).String(), Records: w.Intact(image), Modification: modification,
		}})
	}
}

// createUUID is the image's own, as its bytes are.
func createUUID(image []byte) [16]byte { return [16]byte(image[392:]) }

// write makes every writer write other records than the last time, and tell of each
// that has been acknowledged, for as long as there is power.
func (s *served) write(t *testing.T) {
	t.Helper()
	var running sync.WaitGroup
	for _, w := range s.writers {
		w.Salt++
		file, err := os.OpenFile(s.presented(w), os.O_RDWR|w.Sync, 0)
		require.NoError(t, err)
		running.Go(func() {
			err := w.Write(file, func(n int64) bool { return s.tell(message{Volume: w.Name, Records: n}) })
			assert.NoError(t, err, w.Name)
		})
	}
	running.Wait()
	require.Fail(t, "no writer writes")
}

// tell writes a message to the other machine, which has it when this returns: the
// virtio console waits for that (__send_to_port, drivers/char/virtio_console.c).
func (s *served) tell(m message) bool {
	s.T.Helper()
	_, err := os.Stdout.WriteString(m.String())
	return assert.NoError(s.T, err)
}
