package openzfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/openzfs/pool"
)

func TestACloneIsOnTheMountAtTheFirstLookupAndInTheNextListing(t *testing.T) {
	c := newClones(t)
	require.Empty(t, c.list(""))
	c.requireGone("job-1")
	for _, name := range []string{"job-1", "job-2", "job-3"} {
		c.job(name)
		c.requireOwn(name)
	}
	c.job("job-4")
	c.requireListed("", "job-1", "job-2", "job-3", "job-4")
	c.requireOwn("job-1", "job-2", "job-3", "job-4")
	require.Equal(t, storedUUID, c.uuid(c.stored("job-1")))
}

func TestACloneMayHaveEveryNameThatZFSAllows(t *testing.T) {
	c := newClones(t)
	names := []string{"job 2", " lead", "trail ", " ", "-dash", ".dot", "...", "a..b", ".zfs", "012", "A:c_d-e.f:"}
	for _, name := range names {
		c.job(name)
		c.requireOwn(name)
	}
	c.requireListed("", names...)
}

func TestNestedClonesAreNestedAlsoBelowAParentThatIsNeverMounted(t *testing.T) {
	c := newClones(t)
	c.job("a")
	c.job("a/b")
	c.job("a/b/c")
	c.ZFS("create", "-o", "canmount=off", c.Dataset("ci/off"))
	c.requireGone("off")
	c.job("off/child")
	c.requireOwn("a", "a/b", "a/b/c", "off/child")
	c.requireListed("a", "disk.vdi", "b")
	c.requireListed("off", "child")

	c.ZFS("unmount", c.Dataset("ci/a"))
	c.ZFS("set", "canmount=off", c.Dataset("ci/a"))
	c.ZFS("mount", "-a")
	c.requireOwn("a/b", "a/b/c")
	c.requireListed("a", "b")
}

func TestACloneIsServedFromWhereverItIsMounted(t *testing.T) {
	c := newClones(t)
	c.job("moved", "-o", "mountpoint="+filepath.Join(t.TempDir(), "else where"))
	c.requireOwn("moved")
	c.job("legacy", "-o", "mountpoint=legacy")
	c.requireGone("legacy")
	at := t.TempDir()
	c.Run("mount", "-t", "zfs", c.Dataset("ci/legacy"), at)
	c.requireOwn("legacy")
	c.Run("umount", at)
	c.requireGone("legacy")
	c.requireListed("", "moved")
}

func TestWhatIsMountedOverACloneIsNotServedAsIt(t *testing.T) {
	c := newClones(t)
	c.job("under")
	c.requireOwn("under")
	c.ZFS("create", "-o", "mountpoint=legacy", c.Dataset("over"))
	at := filepath.Join(c.Dir, "ci", "under")
	c.Run("mount", "-t", "zfs", c.Dataset("over"), at)
	c.requireGone("under/disk.vdi")
	c.Run("umount", at)
	c.requireOwn("under")
	// The directory that an unmounted clone is mounted on is no volume.
	c.ZFS("unmount", c.Dataset("ci/under"))
	require.NoError(t, os.MkdirAll(at, 0o755))
	require.NoError(t, os.WriteFile(c.stored("under"), goldenImage(), 0o644))
	if image, err := os.ReadFile(c.disk("under")); err == nil {
		require.Equal(t, presentedUUID("zfs:"+c.GUID("ci")), [16]byte(image[uuidOffset:]), "it belongs to the source's own files")
	}
}

func TestWhatIsMountedInACloneIsNeitherListedNorFound(t *testing.T) {
	c := newClones(t)
	c.job("job-1")
	inside := filepath.Join(c.Dir, "ci", "job-1", "a b")
	require.NoError(t, os.MkdirAll(filepath.Join(inside, "c"), 0o755))
	c.requireListed("job-1", "disk.vdi", "a b")
	c.ZFS("create", "-o", "mountpoint=legacy", c.Dataset("other"))
	for _, mount := range [][]string{{"-t", "tmpfs", "none"}, {"-t", "zfs", c.Dataset("other")}} {
		c.Run("mount", append(mount, filepath.Join(inside, "c"))...)
		require.Empty(t, c.list("job-1/a b"))
		c.requireGone("job-1/a b/c")
		c.Run("umount", filepath.Join(inside, "c"))
		require.Equal(t, []string{"c"}, c.list("job-1/a b"))
		require.DirExists(t, filepath.Join(c.at, "job-1", "a b", "c"))
	}
	require.NoError(t, os.Mkdir(filepath.Join(inside, "..", "part"), 0o755))
	c.Run("mount", "-o", "bind", filepath.Join(inside, "..", "part"), filepath.Join(inside, "c"))
	require.Equal(t, []string{"c"}, c.list("job-1/a b"), "a part of the same file system")
	require.DirExists(t, filepath.Join(c.at, "job-1", "a b", "c"))
	c.Run("umount", filepath.Join(inside, "c"))
}

func TestAReadOnlyCloneIsReadOnlyAndAQuotaIsAQuota(t *testing.T) {
	c := newClones(t)
	c.job("ro", "-o", "readonly=on")
	c.requireOwn("ro")
	_, err := os.OpenFile(c.disk("ro"), os.O_RDWR, 0)
	require.ErrorIs(t, err, unix.EROFS)
	c.ZFS("set", "readonly=off", c.Dataset("ci/ro"))
	file, err := os.OpenFile(c.disk("ro"), os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	c.job("small", "-o", "quota=2M", "-o", "compression=off")
	err = os.WriteFile(filepath.Join(c.at, "small", "big"), make([]byte, 8<<20), 0o644)
	require.ErrorIs(t, err, unix.EDQUOT)
}

func TestAReceivedFileSystemIsAVolume(t *testing.T) {
	c := newClones(t)
	c.Run("sh", "-c", "zfs send '"+c.Dataset(snapshot)+"' | zfs receive '"+c.Dataset("ci/received")+"'")
	c.requireOwn("received")
	c.requireListed("", "received")
}

func TestAPinnedIdentityIsPresented(t *testing.T) {
	c := newClones(t)
	c.job("pinned", "-o", "clonefs:identity=ci-7")
	require.Equal(t, presentedUUID("name:ci-7"), c.uuid(c.disk("pinned")))
	c.ZFS("destroy", c.Dataset("ci/pinned"))
	c.job("pinned", "-o", "clonefs:identity=ci-7")
	require.Equal(t, presentedUUID("name:ci-7"), c.uuid(c.disk("pinned")), "made again")
	c.job("original", "-o", "clonefs:identity=original")
	require.Equal(t, storedUUID, c.uuid(c.disk("original")))
	c.job("pinned/child")
	c.requireOwn("pinned/child")
}

func TestADatasetThatIsMissingIsAnErrorThatSaysSo(t *testing.T) {
	p := pool.New(t)
	out, err := exec.Command("clonefs", "mount", "zfs:"+p.Dataset("none"), t.TempDir()).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "there is no dataset "+p.Dataset("none"))
}
