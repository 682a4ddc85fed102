package integration

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhoMayMoveAndTouchWhatIsAsOnTheBackingFileSystem(t *testing.T) {
	compareInMemory(t, "sticky", root, plainUser, groupMember)
}

// stickyScenarios are about what belongs to one, in a directory of another, in one
// that anybody may write to: chmod(2), "sticky", and utimensat(2), "Permissions".
var stickyScenarios = []scenario{
	{name: "what is in a sticky directory is moved and removed by its owner and the directory's", given: stickyGround, when: func(c *client) {
		for _, dir := range ownerNames {
			for _, file := range ownerNames {
				from := "sticky " + dir + "/" + file
				c.did("move out "+from, unix.Rename(from, "plain/moved"))
				c.did("move in over "+from, unix.Rename("plain/mine", from))
				c.did("exchange "+from, unix.Renameat2(unix.AT_FDCWD, "plain/other", unix.AT_FDCWD, from, unix.RENAME_EXCHANGE))
				c.did("move within "+from, unix.Rename(from, from+" moved"))
				c.did("link "+from, unix.Link(from, "plain/linked"))
				c.did("unlink "+from, unix.Unlink(from))
				c.did("rmdir below "+from, unix.Rmdir(from+" directory"))
				c.did("move the directory of "+from, unix.Rename(from+" directory", "plain/directory"))
				_, _, _ = unix.Unlink("plain/moved"), unix.Unlink("plain/linked"), unix.Rmdir("plain/directory")
			}
		}
		c.tree(".")
	}},
	{name: "times are set by the owner, and to now by who may write", given: func(g *given) {
		for _, o := range g.owners() {
			for _, mode := range []uint32{0, 0o444, 0o222, 0o020, 0o002, 0o666} {
				g.file(ofAll(o.name, mode), o.uid, o.gid, mode)
			}
		}
	}, when: func(c *client) {
		now, omit, fixed := unix.Timespec{Nsec: unix.UTIME_NOW}, unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Sec: 99}
		eachOfAll([]uint32{0, 0o444, 0o222, 0o020, 0o002, 0o666}, func(name string) {
			for _, times := range [][]unix.Timespec{{fixed, fixed}, {now, omit}, {omit, now}, {fixed, omit}, {omit, omit}, {now, fixed}, {now, now}, {fixed, fixed}, nil} {
				c.did(fmt.Sprint(name, " ", times), unix.UtimesNanoAt(unix.AT_FDCWD, name, times, 0))
				var s unix.Stat_t
				c.did("stat", unix.Lstat(name, &s))
				c.note("access time as given: %t, modification time: %t", s.Atim == fixed, s.Mtim == fixed)
			}
		})
	}},
	{name: "a directory that may not be written is not moved, since its parent is in it", given: func(g *given) {
		for _, o := range g.owners() {
			for _, mode := range []uint32{0o777, 0o555} {
				g.folder(ofAll(o.name, mode), o.uid, o.gid, mode)
			}
		}
		g.folder("elsewhere", stranger, stranger, 0o777)
	}, when: func(c *client) {
		eachOfAll([]uint32{0o777, 0o555}, func(name string) {
			c.did("within "+name, unix.Rename(name, name+" moved"))
			c.did("elsewhere "+name, unix.Rename(name+" moved", "elsewhere/"+name))
		})
		c.tree(".")
	}},
	{name: "setgid is given by members of the group only", given: func(g *given) {
		for _, o := range g.owners() {
			g.file("file "+o.name, o.uid, o.gid, 0o644)
			g.folder("directory "+o.name, o.uid, o.gid, 0o755)
		}
	}, when: func(c *client) {
		for _, o := range ownerNames {
			for _, kind := range []string{"file ", "directory "} {
				for _, mode := range []uint32{0o2755, 0o2644, 0o6755, 0o1777} {
					c.did(fmt.Sprintf("chmod %s%s %#o", kind, o, mode), unix.Chmod(kind+o, mode))
					c.stat(kind + o)
					below := fmt.Sprintf("%s%s/%o", kind, o, mode)
					c.did("mkdir "+below, unix.Mkdir(below, 0o755))
					c.stat(below)
				}
			}
		}
	}},
}

// stickyGround makes a sticky directory of every owner, with something of every
// owner in it.
func stickyGround(g *given) {
	g.folder("plain", stranger, stranger, 0o777)
	g.mine("plain/mine", 0o644)
	g.mine("plain/other", 0o644)
	for _, dir := range g.owners() {
		g.folder("sticky "+dir.name, dir.uid, dir.gid, 0o700)
		for _, file := range g.owners() {
			name := "sticky " + dir.name + "/" + file.name
			g.file(name, file.uid, file.gid, 0o666)
			g.folder(name+" directory", file.uid, file.gid, 0o777)
		}
		g.own("sticky "+dir.name, dir.uid, dir.gid, 0o1777)
	}
}
