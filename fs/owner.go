package fs

import (
	"os"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// own gives what the daemon has just made in a directory to the client that
// asked for it, if the daemon is root. The group is the client's too, except
// where the backing file system has given it the directory's (setgid
// directories; BSD groups, recognised by a group that is not the daemon's).
func (n *node) own(caller *fuse.Caller, dir, fd int) error {
	if os.Geteuid() != 0 || caller.Uid == 0 && caller.Gid == 0 {
		return nil
	}
	made, err := statAt(fd, "")
	if err != nil {
		return err
	}
	if int(made.attr.Uid) != os.Geteuid() {
		return unix.ESTALE // somebody has put another file in its place
	}
	parent, err := statAt(dir, "")
	if err != nil {
		return err
	}
	gid := int(caller.Gid)
	if parent.attr.Mode&unix.S_ISGID != 0 || int(made.attr.Gid) != os.Getegid() {
		gid = -1
	}
	if err := chownInode(fd, int(caller.Uid), gid); err != nil {
		return err
	}
	// chown(2) has taken these bits away.
	if bits := made.attr.Mode & 0o7777; bits&(unix.S_ISUID|unix.S_ISGID) != 0 && !made.isDir() {
		return chmodInode(fd, bits)
	}
	return nil
}

// ownNew is own for an object that has no descriptor yet.
func (n *node) ownNew(caller *fuse.Caller, dir int, name string) error {
	fd, err := openBeneath(dir, name, openPath)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return n.own(caller, dir, fd)
}
