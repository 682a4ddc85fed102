package fs

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// While somebody cuts a file off behind the mount and writes it again, every read
// is judged by the very bytes that it returns.
func TestAFileThatIsCutOffWhileItIsReadIsAnImageOrNone(t *testing.T) {
	x := newFuzzedFiles(t, testHeader(512))
	f := x.files[0]
	var stop atomic.Bool
	var cutting sync.WaitGroup
	cutting.Go(func() {
		for !stop.Load() {
			_ = unix.Ftruncate(f.fd, 430) // too short to be an image, but uuidCreate is there
			_, _ = unix.Pwrite(f.fd, testHeader(512), 0)
		}
	})
	t.Cleanup(func() { stop.Store(true); cutting.Wait() })

	image, none := x.views[0][392:408], testHeader(512)[392:408]
	seen := map[bool]int{}
	for seen[true] < 1000 || seen[false] < 1000 {
		header := x.read(0, 0, vdi.HeaderSize)
		isImage := len(fieldsOf(header)) > 0
		seen[isImage]++
		want := none
		if isImage {
			want = image
		}
		if !bytes.Equal(want, header[392:408]) {
			require.Equal(t, want, header[392:408], "an image: %t, %d bytes", isImage, len(header))
		}
	}
}
