//go:build linux

package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

// A site is a volume of a mount that is handed from daemon to daemon, in which a client
// (this process) holds something meanwhile.
type site struct {
	t           *testing.T
	dir, behind string // the volume on the mount, and what is stored
	identity    string
	round       int
	last        bool // round
}

// rounds is how often a mount is handed over.
const rounds = 3

// mountForHandover mounts a volume for each name.
func mountForHandover(t *testing.T, names ...string) (*daemon.Mount, func(name string) *site) {
	t.Helper()
	requireRoot(t)
	source, mountpoint := t.TempDir(), t.TempDir()
	for _, dir := range []string{source, mountpoint} {
		require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // some change the user
	}
	for _, name := range names {
		require.NoError(t, os.Mkdir(filepath.Join(source, name), 0o755))
	}
	mount := daemon.Start(t, source, mountpoint, "--allow-other")
	return mount, func(name string) *site {
		return &site{t: t, dir: filepath.Join(mountpoint, name), behind: filepath.Join(source, name), identity: "dir:" + name}
	}
}

func (s *site) path(name string) string   { return filepath.Join(s.dir, name) }
func (s *site) stored(name string) string { return filepath.Join(s.behind, name) }

// open opens a file on the mount for the time of the test.
func (s *site) open(name string, flags int) *os.File {
	s.t.Helper()
	fd, err := unix.Open(s.path(name), flags|unix.O_CLOEXEC, 0o644)
	require.NoError(s.t, err, name)
	f := os.NewFile(uintptr(fd), name)
	s.t.Cleanup(func() { _ = f.Close() }) // it may be closed
	return f
}

// holds checks what is stored under a name.
func (s *site) holds(name, content string) {
	s.t.Helper()
	got, err := os.ReadFile(s.stored(name))
	require.NoError(s.t, err)
	require.Equal(s.t, content, string(got))
}

func (s *site) stat(fd int) unix.Stat_t {
	s.t.Helper()
	var st unix.Stat_t
	require.NoError(s.t, unix.Fstat(fd, &st))
	return st
}

// helped is what a helper of another process says.
func (s *site) helped(helper string, args ...string) string {
	s.t.Helper()
	out, err := help(helper, args...).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	return string(out)
}
