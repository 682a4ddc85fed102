package openzfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// poolSize is the most that a pool can hold. Its file is sparse.
const poolSize = 1 << 30

// A pool is a test's own ZFS pool. It is gone when the test ends.
type pool struct {
	t    *testing.T
	name string
	dir  string // where its file systems are mounted, unless they say otherwise
	file string
}

// newPool makes a pool with a name that no other has.
func newPool(t *testing.T) *pool {
	t.Helper()
	top := t.TempDir()
	p := &pool{
		t:    t,
		name: fmt.Sprintf("clonefs-test-%d-%d", os.Getpid(), os.Getuid()),
		dir:  filepath.Join(top, "pool"),
		file: filepath.Join(top, "file"),
	}
	require.NoError(t, os.WriteFile(p.file, nil, 0o600))
	require.NoError(t, os.Truncate(p.file, poolSize))
	p.run("zpool", "create", "-o", "cachefile=none", "-O", "mountpoint="+p.dir, "-O", "compression=lz4", p.name, p.file)
	t.Cleanup(p.destroy)
	return p
}

// destroy destroys the pool, if a failed test has not left it exported.
func (p *pool) destroy() {
	if exec.Command("zpool", "list", p.name).Run() == nil {
		p.run("zpool", "destroy", "-f", p.name)
	}
}

// run runs a program, which must succeed, and returns its output.
func (p *pool) run(name string, args ...string) string {
	p.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(p.t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return strings.TrimSuffix(string(out), "\n")
}

// zfs runs zfs, which must succeed, and returns its output.
func (p *pool) zfs(args ...string) string {
	p.t.Helper()
	return p.run("zfs", args...)
}

// dataset is the full name of a dataset of the pool.
func (p *pool) dataset(name string) string { return p.name + "/" + name }

// guid is a file system's or snapshot's GUID, in decimal.
func (p *pool) guid(name string) string {
	p.t.Helper()
	return p.zfs("get", "-Hp", "-o", "value", "guid", p.dataset(name))
}

// clone clones a snapshot, with options of zfs clone before its name.
func (p *pool) clone(snapshot, name string, options ...string) {
	p.t.Helper()
	p.zfs(append(append([]string{"clone"}, options...), p.dataset(snapshot), p.dataset(name))...)
}
