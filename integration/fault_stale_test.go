//go:build linux

package integration

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/integration/faulty"
)

// A file whose inode cannot be told at the moment is not one that is gone: ESTALE
// would say so, and hide what is wrong.
func TestAnInodeThatCannotBeToldIsNotTakenForAnother(t *testing.T) {
	m := mountOverFaulty(t)
	fd, err := unix.Open(m.path("disk.vdi"), unix.O_PATH, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	change := func() error { return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o640) }
	m.lower.Fail(faulty.GetAttr, syscall.EIO)
	require.ErrorIs(t, change(), syscall.EIO)
	m.lower.Heal()
	require.NoError(t, change())
}

// The same of a volume whose device number is known, as that of a dataset is.
func TestARootThatCannotBeToldIsNotTakenForAnother(t *testing.T) {
	lower := faulty.Mount(t)
	source, dir := mountVolumes(t, fs.Options{})
	var s unix.Stat_t
	require.NoError(t, unix.Stat(lower.Dir, &s))
	source.set(fs.Volume{Name: "vm", Dir: lower.Dir, Identity: "zfs:1", Device: s.Dev})
	fd, err := unix.Open(filepath.Join(dir, "vm"), unix.O_PATH, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	change := func() error { return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o750) }
	lower.Fail(faulty.GetAttr, syscall.EIO)
	require.ErrorIs(t, change(), syscall.EIO)
	lower.Heal()
	require.NoError(t, change())
}
