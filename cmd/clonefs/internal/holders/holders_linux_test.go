package holders

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

// mountOfTest returns the mount that a new directory lies on: what counts here
// is who uses it, not what it is.
func mountOfTest(t *testing.T) (mounts.Mount, string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	table, err := mounts.Read()
	require.NoError(t, err)
	m, ok := table.Holding(dir)
	require.True(t, ok)
	return m, dir
}

func holderOf(t *testing.T, m mounts.Mount, pid int) Holder {
	t.Helper()
	found, err := Of(m)
	require.NoError(t, err)
	for _, holder := range found {
		if holder.PID == pid {
			return holder
		}
	}
	return Holder{}
}

func TestAProcessIsFoundByWorkingDirectoryAndOpenFile(t *testing.T) {
	m, dir := mountOfTest(t)
	file, err := os.Create(filepath.Join(dir, "disk.vdi"))
	require.NoError(t, err)
	defer file.Close()

	sleep := exec.Command("sleep", "60")
	sleep.Dir, sleep.Stdin = dir, file
	require.NoError(t, sleep.Start())
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()

	holder := holderOf(t, m, sleep.Process.Pid)
	require.Contains(t, holder.Uses, Use{"working directory", relative(m, dir)})
	require.Contains(t, holder.Uses, Use{"open file", relative(m, file.Name())})
}

func TestAMappedFileIsFoundAfterItsDescriptorIsClosed(t *testing.T) {
	m, dir := mountOfTest(t)
	path := filepath.Join(dir, "with two  spaces")
	require.NoError(t, os.WriteFile(path, make([]byte, 4096), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	mapped, err := syscall.Mmap(int(file.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Munmap(mapped)) }()
	require.NoError(t, file.Close())

	require.Contains(t, holderOf(t, m, os.Getpid()).Uses, Use{"mapped file", relative(m, path)})
}

func TestADeviceOfMapsIsWrittenInHexadecimal(t *testing.T) {
	require.Equal(t, "0:53", decimalDevice("00:35"))
	require.Equal(t, "254:16", decimalDevice("fe:10"))
	require.Empty(t, decimalDevice("-"))
}

func TestAProcessThatCannotBeLookedAtHoldsUpNobody(t *testing.T) {
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	require.Empty(t, within(time.Millisecond, func() Holder { <-forever; return Holder{PID: 1} }))
	require.Equal(t, 1, within(time.Minute, func() Holder { return Holder{PID: 1} }).PID)
}
