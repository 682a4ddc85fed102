//go:build linux

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

// A file size limit of the daemon's own is the backing file's limit to clients,
// and its signal (SIGXFSZ of setrlimit(2)) does not end the daemon.
func TestAFileSizeLimitOfTheDaemonIsAnErrorOfTheClient(t *testing.T) {
	requireTool(t, "prlimit")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.runAs("prlimit", "--fsize=65536", daemon.Binary(t), "mount", "--log-file=log", "./src", "mnt")
	require.Zero(t, r.status, r.stderr)
	image := c.path("mnt/job-1/disk.vdi")

	f, err := os.OpenFile(image, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("beyond the limit"), 65536)
	require.ErrorIs(t, err, unix.EFBIG)
	require.ErrorIs(t, f.Truncate(65537), unix.EFBIG)
	require.ErrorIs(t, unix.Fallocate(int(f.Fd()), 0, 0, 65537), unix.EFBIG)
	_, err = f.WriteAt([]byte("up to it"), 65536-8)
	require.NoError(t, err)
	require.NoError(t, writeBackHeader(f, 1))

	content, err := os.ReadFile(c.path("src/job-1/disk.vdi"))
	require.NoError(t, err)
	require.Len(t, content, 65536)
	require.Equal(t, cliUUID, c.uuidOf("src/job-1/disk.vdi"))
	require.NoError(t, os.Mkdir(filepath.Dir(image)+"/new", 0o755), "the daemon goes on")
	require.Len(t, c.daemons(), 1)
}

// A write that has room for a part of it only is as long as that part, as write(2)
// has it, and what comes next gets the error. The writes are whole pages, since the
// kernel would make two requests of one that begins within a page.
func TestAWriteUpToALimitIsShort(t *testing.T) {
	requireTool(t, "prlimit")
	const limit = 61440 + 3096
	c := newCLI(t, "job-1/disk.vdi")
	require.NoError(t, os.WriteFile(c.path("src/job-1/empty"), nil, 0o600))
	r := c.runAs("prlimit", fmt.Sprint("--fsize=", limit), daemon.Binary(t), "mount", "--log-file=log", "./src", "mnt")
	require.Zero(t, r.status, r.stderr)
	for _, v := range []struct {
		name, file string
		off, size  int64
	}{
		{"beyond a header", "disk.vdi", 61440, 8192},
		{"beyond the end of a file that has none", "empty", 61440, 8192},
		{"from the header on", "disk.vdi", 0, 65536},
	} {
		t.Run(v.name, func(t *testing.T) {
			fd, err := unix.Open(c.path("mnt/job-1/"+v.file), unix.O_RDWR, 0)
			require.NoError(t, err)
			defer unix.Close(fd)
			_, err = unix.Pread(fd, make([]byte, 512), 0) // the daemon knows then whether there is a header
			require.NoError(t, err)
			n, err := unix.Pwrite(fd, make([]byte, v.size), v.off)
			require.NoError(t, err)
			require.EqualValues(t, limit-v.off, n)
			_, err = unix.Pwrite(fd, make([]byte, 4096), limit)
			require.ErrorIs(t, err, unix.EFBIG)
		})
	}
}
