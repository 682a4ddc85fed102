package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
)

// The kernel wants a lock that a listing holds for every entry that it is told to
// forget. Thousands at once must neither stop the listing nor take a thread each.
func TestThousandsOfVolumesComeAndGoUnderAListing(t *testing.T) {
	const count = 3000
	m := mount(t, fs.Options{})
	name := func(i int) string { return filepath.Join(m.source, fmt.Sprintf("job-%d", i)) }
	for range 2 {
		for i := range count {
			require.NoError(t, os.Mkdir(name(i), 0o755))
		}
		require.Len(t, names(t, m.mountpoint), count)
		for _, n := range names(t, m.mountpoint)[:count/2] { // the kernel knows these
			_, err := os.Stat(filepath.Join(m.mountpoint, n))
			require.NoError(t, err)
		}
		for i := range count {
			require.NoError(t, os.Remove(name(i)))
		}
		require.Empty(t, names(t, m.mountpoint))
	}
	require.Less(t, runtime.NumGoroutine(), 200)
}
