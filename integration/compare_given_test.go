package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// given prepares what a scenario finds. Whatever fails here fails the test: a
// scenario without its ground would be the same on both sides, and mean nothing.
type given struct {
	t   testing.TB
	dir string
	who user // who will play the scenario
}

func (g *given) path(name string) string { return filepath.Join(g.dir, name) }

// own gives name an owner and a mode, in the order that keeps setuid and setgid.
func (g *given) own(name string, uid, gid int, mode uint32) {
	g.t.Helper()
	require.NoError(g.t, os.Lchown(g.path(name), uid, gid))
	require.NoError(g.t, unix.Chmod(g.path(name), mode))
}

// file makes a regular file of a user.
func (g *given) file(name string, uid, gid int, mode uint32) {
	g.t.Helper()
	require.NoError(g.t, os.WriteFile(g.path(name), []byte("content of "+name), 0o600))
	g.own(name, uid, gid, mode)
}

// mine makes a regular file of whoever plays the scenario.
func (g *given) mine(name string, mode uint32) {
	g.t.Helper()
	g.file(name, int(g.who.uid), int(g.who.gid), mode)
}

// folder makes a directory of a user.
func (g *given) folder(name string, uid, gid int, mode uint32) {
	g.t.Helper()
	require.NoError(g.t, os.Mkdir(g.path(name), 0o700))
	g.own(name, uid, gid, mode)
}

// myFolder makes a directory of whoever plays the scenario.
func (g *given) myFolder(name string, mode uint32) {
	g.t.Helper()
	g.folder(name, int(g.who.uid), int(g.who.gid), mode)
}

func (g *given) symlink(target, name string) {
	g.t.Helper()
	require.NoError(g.t, os.Symlink(target, g.path(name)))
}

// hardLink gives a file a second name that the mount has never looked up.
func (g *given) hardLink(old, name string) {
	g.t.Helper()
	require.NoError(g.t, os.Link(g.path(old), g.path(name)))
}

// special makes a fifo, socket or device.
func (g *given) special(name string, mode uint32, dev uint64) {
	g.t.Helper()
	require.NoError(g.t, unix.Mknod(g.path(name), mode, int(dev)))
}

func (g *given) xattr(name, attr, value string) {
	g.t.Helper()
	require.NoError(g.t, unix.Lsetxattr(g.path(name), attr, []byte(value), 0))
}
