package openzfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/openzfs/pool"
)

// storedUUID is the golden image's, as it is stored.
var storedUUID = [16]byte{0x9b, 0x16, 0x79, 0x90, 0xa4, 0xd4, 0xe5, 0x41, 0xbb, 0x50, 0xfe, 0x54, 0x8c, 0x9e, 0x7c, 0xb0}

// A VDI of version 1.1 has its UUID here.
const uuidOffset = 392

// imageSize is that of the golden image, in bytes.
const imageSize = 64 << 10

// goldenImage is as much of a VDI as is needed for its being one.
func goldenImage() []byte {
	image := bytes.Repeat([]byte("golden  "), imageSize/8)
	clear(image[:512])
	copy(image, "<<< Oracle VM VirtualBox Disk Image >>>\n")
	binary.LittleEndian.PutUint32(image[64:], 0xbeda107f) // signature
	binary.LittleEndian.PutUint32(image[68:], 0x00010001) // version
	binary.LittleEndian.PutUint32(image[72:], 400)        // the header's size
	copy(image[uuidOffset:], storedUUID[:])
	return image
}

// presentedUUID is what a volume of this identity presents.
func presentedUUID(identity string) [16]byte { return pool.Present(storedUUID, identity) }

// clones are a golden image, clones of it, and a mount that presents them. The
// golden image is in the dataset golden, the clones are below ci.
type clones struct {
	*pool.Pool
	at  string // the mount point
	log string // the daemon's
}

const snapshot = "golden@v1"

// newClones mounts a pool's clones, of which there is none yet, until the test
// ends.
func newClones(t *testing.T, flags ...string) *clones {
	t.Helper()
	c := newUnmounted(t)
	c.mount(flags...)
	return c
}

// newUnmounted is newClones for a test that mounts by itself, which it must.
func newUnmounted(t *testing.T) *clones {
	t.Helper()
	p := pool.New(t)
	p.ZFS("create", p.Dataset("ci"))
	p.ZFS("create", p.Dataset("golden"))
	require.NoError(t, os.WriteFile(filepath.Join(p.Dir, "golden", "disk.vdi"), goldenImage(), 0o644))
	p.ZFS("snapshot", p.Dataset(snapshot))
	c := &clones{Pool: p, at: t.TempDir(), log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(c.unmountAtEnd)
	return c
}

// mount mounts the clones.
func (c *clones) mount(flags ...string) {
	c.T.Helper()
	args := append([]string{"mount", "--log-file=" + c.log}, flags...)
	c.Run("clonefs", append(args, "zfs:"+c.Dataset("ci"), c.at)...)
}

// unmountAtEnd unmounts, and shows the daemon's log where the test failed.
func (c *clones) unmountAtEnd() {
	out, err := exec.Command("clonefs", "unmount", c.at).CombinedOutput()
	if log, _ := os.ReadFile(c.log); c.T.Failed() {
		c.T.Logf("the daemon's log:\n%s", log)
	}
	require.NoError(c.T, err, "%s", out)
}

// job makes a clone.
func (c *clones) job(name string, options ...string) {
	c.T.Helper()
	c.Clone(snapshot, "ci/"+name, options...)
}

// disk is a clone's image on the mount.
func (c *clones) disk(name string) string { return filepath.Join(c.at, name, "disk.vdi") }

// stored is a clone's image in the clone, where that is mounted as it is by itself.
func (c *clones) stored(name string) string { return filepath.Join(c.Dir, "ci", name, "disk.vdi") }

// uuid reads an image's UUID.
func (c *clones) uuid(file string) [16]byte {
	c.T.Helper()
	image, err := os.ReadFile(file)
	require.NoError(c.T, err)
	require.Greater(c.T, len(image), 512)
	return [16]byte(image[uuidOffset:])
}

// requireOwn requires, at once, that a clone is on the mount, whole and with the
// UUID that its GUID gives it.
func (c *clones) requireOwn(names ...string) {
	c.T.Helper()
	guids := c.GUIDs("ci", names...)
	for _, name := range names {
		c.requirePresented(name, "zfs:"+guids[name])
	}
}

// requirePresented requires, at once, that a clone is on the mount, whole and with
// the UUID that an identity gives it.
func (c *clones) requirePresented(name, identity string) {
	c.T.Helper()
	want := goldenImage()
	uuid := presentedUUID(identity)
	copy(want[uuidOffset:], uuid[:])
	got, err := os.ReadFile(c.disk(name))
	require.NoError(c.T, err, "%q", name)
	require.Len(c.T, got, len(want), "%q", name)
	require.Equal(c.T, uuid, [16]byte(got[uuidOffset:]), "%q", name)
	require.True(c.T, bytes.Equal(want, got), "%q is not the golden image with a UUID of its own", name)
}

// requireGone requires, at once, that there is no such name on the mount.
func (c *clones) requireGone(names ...string) {
	c.T.Helper()
	for _, name := range names {
		_, err := os.Lstat(filepath.Join(c.at, name))
		require.ErrorIs(c.T, err, os.ErrNotExist, "%q", name)
	}
}

// list lists a directory of the mount.
func (c *clones) list(dir string) []string {
	c.T.Helper()
	entries, err := os.ReadDir(filepath.Join(c.at, dir))
	require.NoError(c.T, err)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// requireListed requires that within a second a listing shows these names and no
// other.
func (c *clones) requireListed(dir string, names ...string) {
	c.T.Helper()
	require.EventuallyWithT(c.T, func(t *assert.CollectT) {
		assert.ElementsMatch(t, names, c.list(dir))
	}, time.Second, 20*time.Millisecond)
}
