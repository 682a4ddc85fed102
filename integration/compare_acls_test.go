package integration

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAccessControlListsAreAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "acls", root, plainUser, groupMember)
}

var aclScenarios = []scenario{
	{name: "an ACL is set, read, listed and removed, and is the mode's other face", given: oneOfEach, when: func(c *client) {
		for _, name := range []string{"file", "directory", "fifo", "link"} {
			for _, a := range []acl{simple(6, 4, 4, 6, 4, 0), simple(7, 7, 7, 7, 0, 7), minimal(6, 4, 0), minimal(7, 7, 7)} {
				c.setACL(name, aclAccess, a)
				c.stat(name)
				c.getxattr(name, aclAccess, 200)
			}
			c.setACL(name, aclAccess, simple(6, 4, 4, 6, 7, 0))
			c.did("chmod", unix.Fchmodat(unix.AT_FDCWD, name, 0o750, 0))
			c.getxattr(name, aclAccess, 200)
			c.listxattr(name, 1000)
			c.did("remove", unix.Lremovexattr(name, aclAccess))
			c.did("remove again", unix.Lremovexattr(name, aclAccess))
			c.getxattr(name, aclAccess, 200)
			c.stat(name)
		}
	}},
	{name: "an ACL that makes no sense is refused", given: oneOfEach, when: func(c *client) {
		for _, value := range []string{"", "x", "\x01\x00\x00\x00", "\x02\x00\x00\x00", string(minimal(6, 4, 0).encode()[:20]), string(simple(6, 4, 4, 6, 4, 0)[:3].encode())} {
			for _, name := range []string{"file", "directory"} {
				for _, attr := range []string{aclAccess, aclDefault} {
					c.did(fmt.Sprintf("set %q %s of %s", value, attr, name), unix.Setxattr(name, attr, []byte(value), 0))
					c.getxattr(name, attr, 100)
				}
			}
		}
		c.setACL("file", aclDefault, minimal(6, 4, 0))
	}},
	{name: "a default ACL is handed down and overrides the umask", given: defaultACLs, when: func(c *client) {
		for _, umask := range []int{0, 0o077} {
			unix.Umask(umask)
			for i := range defaults {
				c.makeBelowDefault(fmt.Sprint("with default ", i), fmt.Sprintf("%03o ", umask))
			}
		}
	}},
	{name: "a default ACL is set, read and removed", given: oneOfEach, when: func(c *client) {
		c.setACL("directory", aclDefault, simple(7, 5, 5, 7, 7, 0))
		c.getxattr("directory", aclDefault, 100)
		c.listxattr("directory", 1000)
		c.stat("directory")
		c.changes(func() { c.did("remove", unix.Removexattr("directory", aclDefault)) }, "directory")
		c.getxattr("directory", aclDefault, 100)
		c.changes(func() { c.setACL("directory", aclAccess, simple(7, 5, 5, 7, 7, 0)) }, "directory")
	}},
	{name: "an ACL decides who may do what", given: func(g *given) {
		for i, a := range permitting {
			g.file(fmt.Sprint("file ", i), stranger, stranger, 0o600)
			g.folder(fmt.Sprint("directory ", i), stranger, stranger, 0o700)
			g.file(fmt.Sprintf("directory %d/inside", i), stranger, stranger, 0o666)
			g.acl(fmt.Sprint("file ", i), aclAccess, a)
			g.acl(fmt.Sprint("directory ", i), aclAccess, a)
		}
	}, when: func(c *client) {
		for i := range permitting {
			file, directory := fmt.Sprint("file ", i), fmt.Sprint("directory ", i)
			c.stat(file, directory)
			c.tryModes(file)
			c.tryModes(directory)
			c.did("list", tryOpen(unix.O_RDONLY|unix.O_DIRECTORY)(directory))
			c.did("enter", unix.Access(directory+"/inside", unix.R_OK))
			c.did("create", unix.Mkfifo(directory+"/new", 0o644))
			c.did("remove", unix.Unlink(directory+"/inside"))
		}
	}},
	{name: "an ACL takes setgid from a file of a group that its owner is not in", given: func(g *given) {
		for _, gid := range []int{int(g.who.gid), staff, stranger} {
			g.file(fmt.Sprint("file of group ", gid), int(g.who.uid), gid, 0o2775)
			g.folder(fmt.Sprint("directory of group ", gid), int(g.who.uid), gid, 0o2775)
		}
	}, when: func(c *client) {
		for _, gid := range []int{unix.Getgid(), staff, stranger} {
			for _, kind := range []string{"file", "directory"} {
				name := fmt.Sprint(kind, " of group ", gid)
				c.setACL(name, aclAccess, minimal(7, 7, 5))
				c.stat(name)
				c.setACL(name, aclAccess, simple(7, 5, 7, 7, 7, 5))
				c.stat(name)
			}
		}
	}},
	{name: "an ACL of somebody else's file cannot be changed", given: func(g *given) {
		g.file("file", stranger, staff, 0o666)
		g.acl("file", aclAccess, simple(6, 6, 6, 6, 6, 6))
	}, when: func(c *client) {
		c.setACL("file", aclAccess, minimal(7, 7, 7))
		c.did("remove", unix.Removexattr("file", aclAccess))
		c.getxattr("file", aclAccess, 100)
		c.stat("file")
	}},
	{name: "a file that moves or is copied keeps its ACL", given: defaultACLs, when: func(c *client) {
		c.file("with default 0/file")
		c.did("rename", unix.Rename("with default 0/file", "with default 2/file"))
		c.getxattr("with default 2/file", aclAccess, 100)
		c.did("link", unix.Link("with default 2/file", "second name"))
		c.did("chmod", unix.Chmod("second name", 0o600))
		c.getxattr("with default 2/file", aclAccess, 100)
	}},
}

// minimal is an ACL that says no more than a mode.
func minimal(user, group, other uint16) acl {
	return acl{{aclUserObj, user, aclNobody}, {aclGroupObj, group, aclNobody}, {aclOther, other, aclNobody}}
}

// permitting let in one and not another.
var permitting = []acl{
	simple(6, 7, 0, 0, 7, 0),
	simple(6, 0, 0, 7, 7, 7),
	simple(6, 7, 7, 7, 4, 0),
	simple(6, 4, 0, 5, 7, 6),
	minimal(0, 0, 7),
}

var defaults = []acl{
	simple(7, 5, 5, 7, 7, 5),
	simple(7, 7, 7, 7, 5, 0),
	minimal(7, 5, 4),
	minimal(6, 7, 7),
}

// defaultACLs makes a directory for each of defaults, and setgid ones.
func defaultACLs(g *given) {
	for i, a := range defaults {
		name := fmt.Sprint("with default ", i)
		mode := uint32(0o755)
		if i%2 == 1 {
			mode = 0o2775
		}
		g.folder(name, int(g.who.uid), staff, mode)
		g.acl(name, aclDefault, a)
	}
}

func (g *given) acl(name, attr string, a acl) {
	g.t.Helper()
	require.NoError(g.t, unix.Setxattr(g.path(name), attr, a.encode(), 0), "the file system of %s has no ACLs; point TMPDIR to one that does", g.dir)
}

func (c *client) setACL(name, attr string, a acl) {
	c.did(fmt.Sprintf("set %s %v of %s", attr, a, name), unix.Setxattr(name, attr, a.encode(), 0))
}

// makeBelowDefault makes everything in a directory with a default ACL, and
// notes what it was given.
func (c *client) makeBelowDefault(dir, prefix string) {
	must(unix.Chdir(dir))
	defer func() { must(unix.Chdir("..")) }()
	c.makeEverything(prefix, 0o2777)
	c.makeEverything(prefix+"less ", 0o640)
	for _, kind := range []string{"file", "directory", "fifo", "made file", "socket"} {
		for _, name := range []string{prefix + kind, prefix + "less " + kind} {
			c.stat(name)
			c.getxattr(name, aclAccess, 100)
			c.getxattr(name, aclDefault, 100)
		}
	}
}

// tryModes notes for what a file may be opened.
func (c *client) tryModes(name string) {
	for what, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR} {
		c.did(fmt.Sprintf("open %s %d", name, what), tryOpen(flags)(name))
	}
	c.did("execute", unix.Access(name, unix.X_OK))
}
