package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// A read-only mount is compared with a directory that is mounted read-only.
func TestAReadOnlyMountIsAsAReadOnlyFileSystem(t *testing.T) {
	s := newSides(t)
	s.prepare(t, "readonly", root, plainUser)
	remountPlain(t, s.plain, unix.MS_RDONLY)
	s.mount(t, fs.Options{ReadOnly: true})
	s.play(t, "readonly", root, plainUser)
}

// remountPlain makes a directory a mount with these flags, for the time of the
// test.
func remountPlain(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	require.NoError(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	require.NoError(t, unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""))
}

// readOnlyScenarios try every call on one of each kind.
var readOnlyScenarios = func() (scenarios []scenario) {
	for _, path := range []string{"arena/file", "arena/directory", "arena/link", "arena/missing", "arena/missing/x", "arena/fifo", "arena"} {
		scenarios = append(scenarios, scenario{name: "every call on " + path, given: readOnlyGround, when: func(c *client) {
			base := c.open(".", unix.O_PATH|unix.O_DIRECTORY, 0)
			for _, call := range pathCalls {
				c.did(call.name, call.do(path))
				must(unix.Fchdir(base))
			}
			c.tree(".")
		}})
	}
	return append(scenarios, scenario{name: "what is open can be read, not changed", given: readOnlyGround, when: func(c *client) {
		fd := c.open("arena/file", unix.O_RDONLY, 0)
		c.content(fd)
		c.did("chmod", unix.Fchmod(fd, 0o600))
		c.did("chown", unix.Fchown(fd, -1, -1))
		c.did("setxattr", unix.Fsetxattr(fd, "user.x", nil, 0))
		c.did("times", unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd), nil, 0))
		c.did("flock", unix.Flock(fd, unix.LOCK_EX))
		c.did("fsync", unix.Fsync(fd))
		c.open("arena", unix.O_TMPFILE|unix.O_RDWR, 0o600)
		w := c.open("arena/fifo", unix.O_RDWR|unix.O_NONBLOCK, 0)
		c.write(w, "a fifo is no file")
		var s unix.Statfs_t
		c.did("statfs", unix.Statfs(".", &s))
		c.note("read-only: %t", s.Flags&unix.ST_RDONLY != 0)
	}})
}()

func readOnlyGround(g *given) {
	g.myFolder("arena", 0o755)
	g.mine("arena/file", 0o644)
	g.myFolder("arena/directory", 0o755)
	g.symlink("file", "arena/link")
	g.special("arena/fifo", unix.S_IFIFO|0o666, 0)
	g.own("arena/fifo", int(g.who.uid), int(g.who.gid), 0o666)
}
