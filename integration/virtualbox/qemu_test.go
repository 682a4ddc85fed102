//go:build linux

package virtualbox_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQemuReadsAndWritesMountedImages uses the one other program that knows VDI
// as an independent witness. It refuses differencing images, mounted or not.
func TestQemuReadsAndWritesMountedImages(t *testing.T) {
	for _, golden := range []string{dynamic, fixed, byQemu} {
		t.Run(golden, func(t *testing.T) {
			l := newLab(t, nil)
			l.clone(golden, "job-1", "job-2")
			l.mounted()
			l.requireQemuReads("job-1", golden)
			l.requireQemuWrites("job-1", golden)
			l.requireGoldenUUIDs()
			require.Empty(t, differences(t, goldenFile(t, golden, disk), l.stored("job-2", disk)), "the other clone")
		})
	}
}

// requireQemuReads requires that qemu-img finds the golden image's disk, in good
// order, in a mounted clone of it.
func (l *lab) requireQemuReads(volume, golden string) {
	l.t.Helper()
	path, original := l.presented(volume, disk), goldenFile(l.t, golden, disk)
	require.Equal(l.t, qemuInfo(l.t, original), qemuInfo(l.t, path))
	run(l.t, "qemu-img", "check", "-f", "vdi", path)
	run(l.t, "qemu-img", "compare", "-f", "vdi", "-F", "vdi", path, original)
	raw := filepath.Join(l.t.TempDir(), "disk.raw")
	run(l.t, "qemu-img", "convert", "-f", "vdi", "-O", "raw", path, raw)
	run(l.t, "qemu-img", "compare", "-f", "raw", "-F", "vdi", raw, original)
}

// requireQemuWrites requires that what qemu-io writes to a mounted clone is read
// back, from the mount and from what is stored, the latter by O_DIRECT too.
func (l *lab) requireQemuWrites(volume, golden string) {
	l.t.Helper()
	path := l.presented(volume, disk)
	run(l.t, "qemu-io", "-f", "vdi", "-c", "write -P 0x5a 3M 64k", path)
	run(l.t, "qemu-io", "-f", "vdi", "-n", "-c", "write -P 0xa5 2M 64k", path)
	for _, where := range []string{path, l.stored(volume, disk)} {
		run(l.t, "qemu-io", "-r", "-f", "vdi", "-c", "read -P 0x5a 3M 64k", "-c", "read -P 0xa5 2M 64k", where)
		run(l.t, "qemu-img", "check", "-f", "vdi", where)
	}
	require.NotEmpty(l.t, differences(l.t, goldenFile(l.t, golden, disk), l.stored(volume, disk)))
}

// imageInfo is what qemu-img says of an image, apart from its name and place.
type imageInfo struct {
	Format      string `json:"format"`
	VirtualSize int64  `json:"virtual-size"`
	ClusterSize int64  `json:"cluster-size"`
	Dirty       bool   `json:"dirty-flag"`
}

func qemuInfo(t testing.TB, path string) imageInfo {
	t.Helper()
	var info imageInfo
	require.NoError(t, json.Unmarshal([]byte(run(t, "qemu-img", "info", "--output=json", path)), &info))
	require.Equal(t, "vdi", info.Format)
	return info
}
