//go:build linux

package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/faulty"
	"github.com/clonefs/clonefs/vdi"
)

// headerWrites are the shapes in which programs write a header.
var headerWrites = []struct {
	name      string
	off, size int
}{
	{"VirtualBox, with the host's cache", 72, 400},
	{"VirtualBox, an older header", 72, 348},
	{"qemu, and VirtualBox without the host's cache", 0, 512},
	{"an image's start", 0, 1 << 16},
	{"the signature alone", 64, 4},
	{"one field alone", 392, 16},
	{"the middle of a field", 396, 1},
}

// What a client changes in a header and what the mapping changes because of it go
// to the backing file together: a crash leaves the old header or the new one.
func TestAHeaderIsWrittenInOneCall(t *testing.T) {
	for _, write := range headerWrites {
		t.Run(write.name, func(t *testing.T) {
			m := mountOverFaulty(t)
			f := m.open(t, "disk.vdi", os.O_RDWR)
			for _, fill := range []byte{0, 0xff} { // an image is made none, and changed
				served := make([]byte, max(512, write.size))
				_, err := f.ReadAt(served[:512], 0)
				require.NoError(t, err)
				data := bytes.Repeat([]byte{fill}, write.size)
				copy(served[write.off:], data)
				m.lower.Forget()
				_, err = f.WriteAt(data, int64(write.off))
				require.NoError(t, err)
				require.Len(t, m.lower.Calls(faulty.Write), 1)
				m.servesAnew(t, served[:512])
			}
			m.lower.Forget()
			original := m.image(t)
			_, err := f.WriteAt(original, 0) // what was none is made an image
			require.NoError(t, err)
			require.Len(t, m.lower.Calls(faulty.Write), 1)
			m.servesAnew(t, original)
		})
	}
}

// image is the header that the volume "vm" serves of its image at first.
func (m *faultyMount) image(t *testing.T) []byte {
	t.Helper()
	header := realHeader(t)[:512]
	vdi.NewMask("zfs:vm", vdi.KeepGuestSerial).Present(header)
	return header
}

// servesAnew checks what is served to one who opens the image now, which drops
// what the kernel has in its cache.
func (m *faultyMount) servesAnew(t *testing.T, header []byte) {
	t.Helper()
	served := make([]byte, len(header))
	_, err := m.open(t, "disk.vdi", os.O_RDONLY).ReadAt(served, 0)
	require.NoError(t, err)
	require.Equal(t, header, served)
}

// Two write the header at once and one of them fails: the other's is there, whole.
func TestOfTwoHeadersAtOnceOneIsThereWhole(t *testing.T) {
	for name, fails := range map[string]int{"the first fails": 0, "the second fails": 1} {
		t.Run(name, func(t *testing.T) {
			m := mountOverFaulty(t)
			writers := []*os.File{m.open(t, "disk.vdi", os.O_RDWR|os.O_SYNC), m.open(t, "disk.vdi", os.O_RDWR|os.O_SYNC)}
			t.Cleanup(m.lower.Heal) // before anything is closed
			held := m.lower.Hold(faulty.Write, len(writers))
			ended := []chan error{make(chan error, 1), make(chan error, 1)}
			for i, f := range writers {
				go func() { ended[i] <- writeBackHeader(f, byte(i+1)) }()
			}
			// Either may come first, and it need not have ended when the other
			// comes: what O_SYNC asks for may have to wait for the other's write.
			for i := range writers {
				within(t, held.Arrived)
				if i == fails {
					held.Answers <- syscall.EIO
				} else {
					held.Answers <- 0
				}
			}
			errs := []error{within(t, ended[0]), within(t, ended[1])}
			winner := slices.Index(errs, nil)
			require.NotEqual(t, -1, winner, "%v", errs)
			require.ErrorIs(t, errs[1-winner], syscall.EIO)
			m.lower.Heal()
			header := m.image(t)
			copy(header[modifyOffset:], bytes.Repeat([]byte{byte(winner + 1)}, 16))
			m.servesAnew(t, header)
			stored, err := os.ReadFile(m.stored("vm"))
			require.NoError(t, err)
			require.Equal(t, byte(winner+1), stored[modifyOffset])
		})
	}
}

// The daemon is killed while the header is on its way to the disk.
func TestADaemonKilledInAHeaderWriteLeavesAWholeHeader(t *testing.T) {
	for name, answer := range map[string]syscall.Errno{"and the write is done": 0, "and the write fails": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			requireRoot(t)
			lower := faulty.Mount(t)
			require.NoError(t, os.Mkdir(filepath.Join(lower.Backing, "vm"), 0o755))
			stored := filepath.Join(lower.Backing, "vm/disk.vdi")
			require.NoError(t, os.WriteFile(stored, realHeader(t), 0o600))
			mount := daemon.Start(t, lower.Dir, t.TempDir())
			f, err := os.OpenFile(filepath.Join(mount.Dir, "vm/disk.vdi"), os.O_RDWR, 0)
			require.NoError(t, err)
			defer f.Close()
			t.Cleanup(lower.Heal)
			held := lower.Hold(faulty.Write, 1)
			ended := make(chan error, 2)
			go func() { ended <- writeBackHeader(f, 9) }()
			within(t, held.Arrived)
			require.NoError(t, syscall.Kill(mount.PID(), syscall.SIGKILL))
			held.Answers <- answer // a process ends when its system calls have
			require.Eventually(t, func() bool { return syscall.Kill(mount.PID(), 0) == syscall.ESRCH }, cliPatience, time.Millisecond)
			err = within(t, ended)
			require.True(t, err == nil || isOneOf(err, endOfDaemon) || answer != 0, "%v", err)
			want := realHeader(t)
			if answer == 0 {
				copy(want[modifyOffset:], bytes.Repeat([]byte{9}, 16))
			}
			content, err := os.ReadFile(stored)
			require.NoError(t, err)
			require.Equal(t, want, content)
		})
	}
}
