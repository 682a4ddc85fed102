// Package pool makes ZFS pools for tests, each on a sparse file of its own.
package pool

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// size is the most that a pool can hold. Its file is sparse.
const size = 1 << 30

// busyLimit is how long a zfs that finds something busy is tried again. In an
// emulated guest the program may take more than a second by itself.
const busyLimit = 20 * time.Second

// A Pool is a test's own ZFS pool. Its methods fail the test when they cannot do
// what they say.
type Pool struct {
	T    testing.TB
	Name string
	Dir  string // where its file systems are mounted, unless they say otherwise
	File string
}

// New makes a pool with a name that no other has. It is gone when the test ends.
func New(t testing.TB) *Pool {
	t.Helper()
	top := t.TempDir()
	p := &Pool{
		T:    t,
		Name: "clonefs-test-" + uuid.NewString()[:8],
		Dir:  filepath.Join(top, "pool"),
		File: filepath.Join(top, "file"),
	}
	require.NoError(t, os.WriteFile(p.File, nil, 0o600))
	require.NoError(t, os.Truncate(p.File, size))
	p.Run("zpool", "create", "-o", "cachefile=none", "-O", "mountpoint="+p.Dir, "-O", "compression=lz4", p.Name, p.File)
	t.Cleanup(p.destroy)
	return p
}

// On returns the pool with its failures going to another test: a subtest of the
// one that made it.
func (p *Pool) On(t testing.TB) *Pool {
	other := *p
	other.T = t
	return &other
}

// destroy destroys the pool, if a failed test has not left it exported.
func (p *Pool) destroy() {
	if exec.Command("zpool", "list", p.Name).Run() == nil {
		p.Run("zpool", "destroy", "-f", p.Name)
	}
}

// Run runs a program, which must succeed, and returns its output.
func (p *Pool) Run(name string, args ...string) string {
	p.T.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(p.T, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return strings.TrimSuffix(string(out), "\n")
}

// ZFS runs zfs, which must succeed, and returns its output.
func (p *Pool) ZFS(args ...string) string {
	p.T.Helper()
	return p.Run("zfs", args...)
}

// Eventually runs a program until it succeeds: the kernel tells a FUSE file system
// of a file's last close only after close(2) has returned.
func (p *Pool) Eventually(name string, args ...string) {
	p.T.Helper()
	require.EventuallyWithT(p.T, func(t *assert.CollectT) {
		out, err := exec.Command(name, args...).CombinedOutput()
		assert.NoError(t, err, "%s %v: %s", name, args, out)
	}, busyLimit, 20*time.Millisecond)
}

// Export exports the pool.
func (p *Pool) Export() {
	p.T.Helper()
	p.Run("zpool", "export", p.Name)
}

// Import imports the pool that was exported.
func (p *Pool) Import() {
	p.T.Helper()
	p.Run("zpool", "import", "-o", "cachefile=none", "-d", filepath.Dir(p.File), p.Name)
}

// Dataset is the full name of a dataset of the pool.
func (p *Pool) Dataset(name string) string { return p.Name + "/" + name }

// GUID is a file system's or snapshot's GUID, in decimal.
func (p *Pool) GUID(name string) string {
	p.T.Helper()
	return p.ZFS("get", "-Hp", "-o", "value", "guid", p.Dataset(name))
}

// GUIDs is GUID of several below one, by their names there, in one run of zfs: in
// an emulated guest each takes its time.
func (p *Pool) GUIDs(below string, names ...string) map[string]string {
	p.T.Helper()
	prefix := p.Dataset(below) + "/"
	args := []string{"get", "-Hp", "-o", "name,value", "guid"}
	for _, name := range names {
		args = append(args, prefix+name)
	}
	guids := make(map[string]string, len(names))
	for line := range strings.SplitSeq(p.ZFS(args...), "\n") {
		name, guid, _ := strings.Cut(strings.TrimPrefix(line, prefix), "\t")
		guids[name] = guid
	}
	require.Len(p.T, guids, len(names))
	return guids
}

// Clone clones a snapshot, with options of zfs clone before its name.
func (p *Pool) Clone(snapshot, name string, options ...string) {
	p.T.Helper()
	p.ZFS(append(append([]string{"clone"}, options...), p.Dataset(snapshot), p.Dataset(name))...)
}
