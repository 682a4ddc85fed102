package integration

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

// Where the fields of the header that realHeader returns are.
const (
	createAt  = 392
	modifyAt  = 408
	linkageAt = 424
)

// A page of a mapping is written back whole: the stored UUIDs must come through
// that as through any write. Another process does the mapping; see init in
// compare_client_test.go.
func TestWhatIsWrittenThroughAMappingOfAnImageIsMappedBack(t *testing.T) {
	id := vdi.UUID{0: 1, 5: 5, 6: 6, 15: 15}
	for name, test := range map[string]struct {
		offset int
		value  []byte
	}{
		"a new UUID":                       {createAt, id[:]},
		"a new parent":                     {linkageAt, id[:]},
		"no UUID":                          {createAt, make([]byte, 16)},
		"half a UUID":                      {createAt + 4, id[4:12]},
		"the modification UUID alone":      {modifyAt, id[:]},
		"a byte of the comment":            {84, []byte("x")},
		"something far behind the header":  {4000, []byte("x")},
		"another signature":                {64, make([]byte, 4)},
		"the signature that stands there":  {64, []byte{0x7f, 0x10, 0xda, 0xbe}},
		"a page that the header ends with": {508, []byte("12345678")},
	} {
		t.Run(name, func(t *testing.T) {
			m := mount(t, fs.Options{}, "vm")
			mask := vdi.NewMask("dir:vm", vdi.KeepGuestSerial)
			stored := filepath.Join(m.source, "vm/disk.vdi")
			require.NoError(t, os.WriteFile(stored, append(realHeader(t), make([]byte, 7680)...), 0o600))
			seen := append(realHeader(t), make([]byte, 7680)...)
			mask.Present(seen[:vdi.HeaderSize])

			out, err := help("map", filepath.Join(m.mountpoint, "vm/disk.vdi"), fmt.Sprint(test.offset), hex.EncodeToString(test.value)).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Equal(t, hex.EncodeToString(seen[:4096]), string(out), "what the mapping showed at first")

			copy(seen[test.offset:], test.value)
			got, err := os.ReadFile(filepath.Join(m.mountpoint, "vm/disk.vdi"))
			require.NoError(t, err)
			requireSameBytes(t, seen, got, "what a reader sees")
			mask.Present(seen[:vdi.HeaderSize])
			got, err = os.ReadFile(stored)
			require.NoError(t, err)
			requireSameBytes(t, seen, got, "what is stored")
		})
	}
}

// mapAndWrite returns what a shared mapping of the first page shows, and writes
// to it.
func mapAndWrite(name string, offset int, value []byte) string {
	fd, err := unix.Open(name, unix.O_RDWR, 0)
	must(err)
	m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(err)
	shown := hex.EncodeToString(m)
	copy(m[offset:], value)
	must(unix.Msync(m, unix.MS_SYNC))
	must(unix.Munmap(m))
	must(unix.Close(fd))
	return shown
}
