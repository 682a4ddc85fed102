package fs

import (
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Getattr reads attributes, through an open file if there is one: a file that was
// removed behind the mount has no path. The kernel does not say which file, nor that
// there is one (fuse_update_get_attr of fs/fuse/dir.c).
func (n *node) Getattr(out *fuse.Attr) (birth int64, errno syscall.Errno) {
	var s status
	var err error
	if !n.files.use(func(f *file) { s, err = statAt(f.fd, "") }) {
		s, err = n.status()
	}
	if err == nil {
		n.setAttr(s, out)
	}
	return s.id.birth, n.mirror.errno("getattr", n, err)
}

func (n *node) status() (s status, err error) {
	if n.isPlace {
		return n.rootStatus()
	}
	err = n.with(n.vol, func(fd int) error {
		s, err = statAt(fd, "")
		return err
	})
	return s, err
}

// Setattr changes mode, owner, size and times, through an open file if f is one. The
// kernel has checked that the client may (default_permissions).
func (n *node) Setattr(f *file, in *fuse.SetAttrIn, out *fuse.Attr) syscall.Errno {
	err := n.setattr(f, in)
	if err == nil {
		var s status
		if f != nil {
			s, err = statAt(f.fd, "")
		} else {
			s, err = n.status()
		}
		n.setAttr(s, out)
	}
	return n.mirror.errno("setattr", n, err)
}

func (n *node) setattr(f *file, in *fuse.SetAttrIn) error {
	vol, err := n.writable()
	if err != nil {
		return err
	}
	if n.hasSetMode() && in.Valid&(fuse.FATTR_UID|fuse.FATTR_GID|fuse.FATTR_MODE) != 0 {
		return errTop
	}
	if size, ok := in.GetSize(); ok {
		if err := n.truncate(vol, f, int64(size)); err != nil {
			return err
		}
	}
	if f != nil {
		return apply(f.fd, in)
	}
	return n.with(vol, func(fd int) error { return apply(fd, in) })
}

// apply changes owner, mode and times, in this order: chown(2) takes setuid and
// setgid bits away.
func apply(fd int, in *fuse.SetAttrIn) error {
	if in.Valid&(fuse.FATTR_UID|fuse.FATTR_GID) != 0 {
		if err := chownInode(fd, idOrKeep(in.GetUID()), idOrKeep(in.GetGID())); err != nil {
			return err
		}
	}
	if err := applyMode(fd, in); err != nil {
		return err
	}
	if in.Valid&(fuse.FATTR_ATIME|fuse.FATTR_MTIME) != 0 {
		return setTimes(fd, timespecs(in))
	}
	if in.Valid&^(fuse.FATTR_FH|fuse.FATTR_LOCKOWNER) == 0 {
		return applyNothing(fd, &in.Caller)
	}
	return nil
}

// applyMode sets the mode, or takes setuid and setgid off it because an
// unprivileged client truncated the file.
func applyMode(fd int, in *fuse.SetAttrIn) error {
	if mode, ok := in.GetMode(); ok {
		return chmodInode(fd, mode&0o7777)
	}
	if in.Valid&fuse.FATTR_SIZE != 0 && in.Valid&fuse.FATTR_KILL_SUIDGID != 0 {
		return dropPrivileges(fd, &in.Caller)
	}
	return nil
}

// applyNothing does what chown(2) with -1 for both does: setuid and setgid go,
// which only root and the owner may see to. For others it is nothing, and not
// EPERM as elsewhere: the kernel sends the same request before their writes.
func applyNothing(fd int, caller *fuse.Caller) error {
	s, err := statAt(fd, "")
	if err != nil || caller.Uid != 0 && caller.Uid != s.attr.Uid {
		return err
	}
	return chownInode(fd, -1, -1)
}

// idOrKeep is the id, or the -1 that chown(2) takes for no change.
func idOrKeep(id uint32, ok bool) int {
	if !ok {
		return -1
	}
	return int(id)
}

// timespecs are the arguments of utimensat(2): access time, modification time.
func timespecs(in *fuse.SetAttrIn) []unix.Timespec {
	return []unix.Timespec{
		timespec(in.Valid, fuse.FATTR_ATIME, fuse.FATTR_ATIME_NOW, in.Atime, in.Atimensec),
		timespec(in.Valid, fuse.FATTR_MTIME, fuse.FATTR_MTIME_NOW, in.Mtime, in.Mtimensec),
	}
}

func timespec(valid, given, now uint32, sec uint64, nsec uint32) unix.Timespec {
	switch {
	case valid&given == 0:
		return unix.Timespec{Nsec: utimeOmit}
	case valid&now != 0:
		return unix.Timespec{Nsec: utimeNow}
	}
	t := unix.NsecToTimespec(int64(nsec))
	t.Sec += int64(sec)
	return t
}

// truncate sets the size, through an open file that can write if there is one.
func (n *node) truncate(vol *volume, f *file, size int64) error {
	if f != nil && f.writable {
		return f.truncate(size)
	}
	f, err := n.openFile(vol, unix.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.truncate(size), f.close())
}

// Statfs says how full the volume's file system is; a place without one shows
// nothing, as an empty file system would.
func (n *node) Statfs(out *fuse.StatfsOut) syscall.Errno {
	vol := n.volume()
	if vol == nil {
		out.NameLen = 255
		return 0
	}
	err := n.with(vol, func(fd int) error { return statfs(fd, out) })
	return n.mirror.errno("statfs", n, err)
}
