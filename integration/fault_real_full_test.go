//go:build linux

package integration

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

// fullDisks are the file systems that are filled, and whether they write what a file
// has already to the same place again, which needs no room.
var fullDisks = []struct {
	backing
	inPlace bool
}{
	{onExt4, true},
	{onXFS, true},
	{onBtrfs, false},
	{backing{name: "tmpfs"}, true},
}

func newFullDisk(t *testing.T, on backing, base, at string) *disk {
	t.Helper()
	if on.mkfs != nil {
		return newDisk(t, on, 512<<20, base+"/image", at)
	}
	require.NoError(t, os.MkdirAll(at, 0o755))
	require.NoError(t, unix.Mount("none", at, "tmpfs", 0, "size=16m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(at, 0)) })
	return &disk{at: at}
}

// Whoever needs room that is not there is told so, and nothing that was written
// before is harmed, on the disk either.
func TestAFullDiskIsAnErrorOfWhoNeedsRoomAndOfNobodyElse(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	for _, on := range fullDisks {
		t.Run(on.name, func(t *testing.T) {
			s := newStruckLoad(t, func(base, at string) *disk { return newFullDisk(t, on.backing, base, at) })
			s.strike(t, func() { s.disk.fill(t) }, syscall.ENOSPC)
			s.check(t)
			failed := s.rewriteHeaders(t, s.writers[:crashWriters/2])
			require.Equal(t, on.inPlace, failed == 0, "%d rewrites of a header failed", failed)
			s.disk.makeRoom(t, 1<<20)
			require.Zero(t, s.rewriteHeaders(t, s.writers[crashWriters/2:]))
			s.release(t)
			if s.disk.image != "" {
				s.disk.unmount(t)
				s.disk.mount(t)
				s.check(t)
			}
			require.NoError(t, os.Remove(s.disk.filler()))
			s.requireSound(t)
			s.load.mount.Unmount(t)
		})
	}
}

func (d *disk) filler() string { return d.at + "/filler" }

// fill takes all room that is left.
func (d *disk) fill(t *testing.T) {
	t.Helper()
	f, err := os.Create(d.filler())
	require.NoError(t, err)
	defer f.Close()
	for taken, size := int64(0), int64(256<<20); size >= 4096; {
		switch err := unix.Fallocate(int(f.Fd()), 0, taken, size); err {
		case nil:
			taken += size
		case unix.ENOSPC:
			size /= 2
		default:
			require.NoError(t, err)
		}
	}
}

// rewriteHeaders writes headers back, again and again, and returns how often that
// failed. A header is the old one or the new one then.
func (s *struckLoad) rewriteHeaders(t *testing.T, writers []*writer) (failed int) {
	t.Helper()
	for _, w := range writers {
		f, err := os.OpenFile(s.presented(w), os.O_RDWR, 0)
		require.NoError(t, err)
		for i := range byte(10) {
			before, err := os.ReadFile(s.stored(w))
			require.NoError(t, err)
			err = errors.Join(writeBackHeader(f, i), f.Sync())
			after, errAfter := os.ReadFile(s.stored(w))
			require.NoError(t, errAfter)
			if err != nil {
				require.ErrorIs(t, err, syscall.ENOSPC)
				failed++
			}
			if err == nil || after[modifyOffset] == i {
				copy(before[modifyOffset:], bytes.Repeat([]byte{i}, 16))
			}
			require.Equal(t, before, after)
		}
		require.NoError(t, f.Close())
	}
	return failed
}

// makeRoom gives so many bytes of the filler back.
func (d *disk) makeRoom(t *testing.T, size int64) {
	t.Helper()
	info, err := os.Stat(d.filler())
	require.NoError(t, err)
	require.NoError(t, os.Truncate(d.filler(), max(0, info.Size()-size)))
}

// fullDiskScenarios are those whose outcome on ext4 does not depend on how far it is
// with writing back and with its journal.
var fullDiskScenarios = slices.DeleteFunc(slices.Clone(fullScenarios), func(sc scenario) bool {
	return !strings.HasPrefix(sc.name, "writing ends where") && !strings.HasPrefix(sc.name, "making files ends where")
})

var _ = addTable("full disk", fullDiskScenarios)

func TestAFullDiskAnswersAsItDoesWithoutTheMount(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	s, base := newSides(t), inMemory(t)
	small := backing{"ext4", []string{"mkfs.ext4", "-q", "-m", "0", "-N", "64"}}
	newDisk(t, small, 4<<20, base+"/plain", s.plain)
	newDisk(t, small, 4<<20, base+"/stored", s.stored)
	s.prepare(t, "full disk", plainUser)
	daemon.Start(t, filepath.Dir(s.stored), filepath.Dir(s.mounted), "--allow-other")
	s.play(t, "full disk", plainUser)
}
