package integration

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

// hostileTime is how long a header is changed behind the mount, and hostileReads
// how often it is read at least meanwhile.
const (
	hostileTime  = time.Second
	hostileReads = 500
)

// changesOfHeader are what somebody does to the header of an image again and again,
// who does not go through the mount. They touch no UUID. (What changes the size as
// well is tested in package fs: the kernel asks for size and content one after the
// other, and cuts the one by the other.)
var changesOfHeader = map[string]func(fd int, even bool) error{
	"the signature comes and goes": func(fd int, even bool) error {
		signature := map[bool][]byte{true: hostileHeader(0x00010001)[64:68], false: []byte("none")}[even]
		_, err := unix.Pwrite(fd, signature, 64)
		return err
	},
	"the version changes to one that is not known": func(fd int, even bool) error {
		version := map[bool]uint32{true: 0x00010001, false: 0x00070007}[even]
		_, err := unix.Pwrite(fd, hostileHeader(version)[68:72], 68)
		return err
	},
}

// While a header changes behind the mount, every read is judged by the very
// bytes that it returns: they are an image with the presented UUIDs, or no image
// and as they are stored. There is never the one with the UUIDs of the other.
func TestAHeaderThatChangesWhileItIsReadIsOneOrTheOther(t *testing.T) {
	for name, change := range changesOfHeader {
		t.Run(name, func(t *testing.T) {
			m := mount(t, fs.Options{}, "vm")
			backing := filepath.Join(m.source, "vm/disk.vdi")
			require.NoError(t, os.WriteFile(backing, hostileHeader(0x00010001), 0o600))
			stop := changeAgainAndAgain(t, backing, change)
			seen := map[bool]int{}
			for end := time.Now().Add(hostileTime); time.Now().Before(end) || seen[true]+seen[false] < hostileReads; {
				header, err := os.ReadFile(filepath.Join(m.mountpoint, "vm/disk.vdi"))
				require.NoError(t, err)
				isImage := len(hostileFields(header)) > 0
				seen[isImage]++
				requireUUIDs(t, header, isImage)
			}
			stop()
			t.Logf("read %d times as an image, %d times as none", seen[true], seen[false])
			require.Positive(t, seen[true])
			require.Positive(t, seen[false])
		})
	}
}

// requireUUIDs fails if what a client read has the UUIDs of an image without being
// one, or the other way round.
func requireUUIDs(t *testing.T, header []byte, presented bool) {
	t.Helper()
	stored := hostileHeader(0x00010001)
	want := stored
	if presented {
		want = presentedOf(stored)
	}
	require.Equal(t, want[392:424], header[392:424], "uuidCreate and uuidModify; an image: %t", presented)
}

// changeAgainAndAgain changes a file until the function that it returns is called.
func changeAgainAndAgain(t *testing.T, path string, change func(fd int, even bool) error) func() {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	var stopped atomic.Bool
	var failure error
	var changing sync.WaitGroup
	changing.Go(func() {
		for even := true; !stopped.Load() && failure == nil; even = !even {
			failure = change(fd, even)
		}
	})
	stop := sync.OnceFunc(func() {
		stopped.Store(true)
		changing.Wait()
		unix.Close(fd)
	})
	t.Cleanup(stop)
	return func() {
		stop()
		require.NoError(t, failure)
	}
}

// A client that writes somewhere else in a header that changes behind the mount
// changes no stored UUID, whatever the header is at that moment.
func TestWritingToAHeaderThatChangesLeavesTheStoredUUIDs(t *testing.T) {
	t.Parallel()
	m := mount(t, fs.Options{}, "vm")
	backing := filepath.Join(m.source, "vm/disk.vdi")
	stored := hostileHeader(0x00010001)
	require.NoError(t, os.WriteFile(backing, stored, 0o600))
	client, err := os.OpenFile(filepath.Join(m.mountpoint, "vm/disk.vdi"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer client.Close()
	stop := changeAgainAndAgain(t, backing, changesOfHeader["the signature comes and goes"])
	for end, i := time.Now().Add(hostileTime), 0; time.Now().Before(end) || i < hostileReads; i++ {
		off := []int64{0, 60, 72, 300, 380, 456, 480}[i%7]
		_, err := client.WriteAt([]byte{byte(i), byte(i), 3, 4}, off)
		require.NoError(t, err)
	}
	stop()
	after, err := os.ReadFile(backing)
	require.NoError(t, err)
	require.Len(t, after, vdi.HeaderSize)
	require.Equal(t, stored[392:456], after[392:456])
}
