//go:build linux

package virtualbox_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// TestVBoxManageWorksOnMountedImages gives each command a clone of its own and,
// in the end, looks at what all of them stored.
func TestVBoxManageWorksOnMountedImages(t *testing.T) {
	l := newLab(t, virtualBox(t))
	l.clone(dynamic, "compact", "resize", "clone", "create", "mediumio", "bystander")
	l.mounted()

	l.step(t, "modifymedium --compact gives a block of zeros back", compact)
	l.step(t, "modifymedium --resize changes the stored capacity", resize)
	l.step(t, "clonemedium copies to a file outside the mount", cloneOutside)
	l.step(t, "clonemedium copies to a file inside the mount", cloneInside)
	l.step(t, "createmedium makes a new image inside the mount", create)
	l.step(t, "mediumio formats, and reads back what it formatted", format)
	l.step(t, "all of that left the stored UUIDs alone", func(l *lab) {
		l.vb.StopServer()
		l.requireGoldenUUIDs()
		require.Empty(l.t, differences(l.t, goldenFile(l.t, dynamic, disk), l.stored("bystander", disk)))
	})
}

func compact(l *lab) {
	path := l.presented("compact", disk)
	run(l.t, "qemu-io", "-f", "vdi", "-c", "write -q -P 0 8M 1M", path)
	before := size(l.t, path)
	l.vb.Manage("modifymedium", "disk", path, "--compact")
	after := size(l.t, path)
	require.Equal(l.t, before-1<<20, after)
	require.Equal(l.t, after, size(l.t, l.stored("compact", disk)))
	run(l.t, "qemu-img", "compare", goldenFile(l.t, dynamic, disk), path)
	l.t.Logf("%d bytes before, %d after", before, after)
}

func resize(l *lab) {
	path := l.presented("resize", disk)
	l.vb.Manage("modifymedium", "disk", path, "--resize", "32")
	require.Equal(l.t, "32 MBytes", l.vb.HardDisk(path).Capacity)
	header := field(l.t, l.stored("resize", disk), capacityAt)
	require.EqualValues(l.t, 32<<20, binary.LittleEndian.Uint64(header[:]))
	// Images of different length are equal if the rest is zeros.
	run(l.t, "qemu-img", "compare", goldenFile(l.t, dynamic, disk), l.stored("resize", disk))
}

func cloneOutside(l *lab) {
	from, to := l.presented("clone", disk), filepath.Join(filepath.Dir(l.source), "outside.vdi")
	l.vb.Manage("clonemedium", "disk", from, to)
	require.Equal(l.t, l.vb.HardDisk(to).UUID, uuidText(field(l.t, to, createAt)))
	run(l.t, "qemu-img", "compare", from, to)
}

func cloneInside(l *lab) {
	from, to := l.presented("clone", disk), l.presented("clone", "copy.vdi")
	l.vb.Manage("clonemedium", "disk", from, to)
	l.requireStoredAsPresented("clone", "copy.vdi")
	run(l.t, "qemu-img", "compare", from, to)
}

// create makes a dynamic and a fixed image. VirtualBox allocates the latter with
// fallocate, and writes the signature of both before their UUIDs.
func create(l *lab) {
	for _, variant := range []string{"Standard", "Fixed"} {
		name := variant + ".vdi"
		path := l.presented("create", name)
		out := l.vb.Manage("createmedium", "disk", "--filename", path, "--size", "4", "--format", "VDI", "--variant", variant)
		told := strings.TrimSpace(out[strings.LastIndex(out, "UUID:")+len("UUID:"):])
		require.Equal(l.t, told, l.requireStoredAsPresented("create", name))

		// VirtualBox remembers only what is attached.
		l.vb.NewMachine(variant, vbox.SATA).Attach(path)
		l.vb.StopServer()
		l.mount.Remount(l.t)
		require.Equal(l.t, told, l.requireStoredAsPresented("create", name))
		require.Equal(l.t, "created", l.vb.HardDisks()[path].State)
	}
}

// format overwrites the golden image's FAT first, so that there is something to
// format.
func format(l *lab) {
	path := l.presented("mediumio", disk)
	run(l.t, "qemu-io", "-f", "vdi", "-c", "write -q -P 0xee 0 1M", path)
	require.Equal(l.t, strings.Repeat("\xee", 512), l.read(path, "512"))
	l.vb.Manage("mediumio", "--disk", path, "formatfat", "--quick")
	boot := l.read(path, "512")
	require.Contains(l.t, boot, "FAT1")
	require.Equal(l.t, "\x55\xaa", boot[510:])

	raw := filepath.Join(filepath.Dir(l.source), "mediumio.raw")
	run(l.t, "qemu-img", "convert", "-f", "vdi", "-O", "raw", l.stored("mediumio", disk), raw)
	content, err := os.ReadFile(raw)
	require.NoError(l.t, err)
	require.Equal(l.t, string(content), l.readDisk(path))
}

// TestSetHDUUIDOnAMountedImageAssignsThatUUID: VirtualBox sees the UUID that it
// was told to assign, so the stored one is that one mapped back.
func TestSetHDUUIDOnAMountedImageAssignsThatUUID(t *testing.T) {
	l := newLab(t, virtualBox(t))
	l.clone(dynamic, "changed", "bystander")
	l.mounted()
	path, assigned := l.presented("changed", disk), uuid.NewString()

	l.vb.Manage("internalcommands", "sethduuid", path, assigned)
	require.Equal(t, assigned, l.vb.HardDisk(path).UUID)
	l.vb.NewMachine("changed", vbox.SATA).Attach(path)
	for _, when := range []func(){l.vb.StopServer, func() { l.mount.Remount(t) }} {
		when()
		medium := l.vb.HardDisks()[path]
		require.Equal(t, "created", medium.State)
		require.Equal(t, assigned, medium.UUID)
		require.Equal(t, assigned, l.requireStoredAsPresented("changed", disk))
	}
	require.Equal(t, l.presentedUUID("bystander", disk), l.vb.HardDisk(l.presented("bystander", disk)).UUID)
	requireSameUUID(t, goldenFile(t, dynamic, disk), createAt, l.stored("bystander", disk), createAt)
}

// requireStoredAsPresented requires of an image that VirtualBox made, or gave a
// UUID, that VirtualBox's UUID is what the stored one is presented as. It
// returns that UUID.
func (l *lab) requireStoredAsPresented(volume, image string) string {
	l.t.Helper()
	medium := l.vb.HardDisk(l.presented(volume, image))
	stored := field(l.t, l.stored(volume, image), createAt)
	require.Equal(l.t, medium.UUID, uuidText(presentedUUID(volume, stored)))
	require.Equal(l.t, medium.UUID, uuidText(field(l.t, l.presented(volume, image), createAt)))
	require.NotEqual(l.t, medium.UUID, uuidText(stored))
	return medium.UUID
}

// read returns the first bytes of a disk as VirtualBox reads them.
func (l *lab) read(path, count string) string {
	l.t.Helper()
	return l.vb.Manage("mediumio", "--disk", path, "cat", "--size", count)
}

func size(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}
