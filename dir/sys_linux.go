package dir

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	openPath = unix.O_PATH

	errNoXattr = unix.ENODATA // what a missing extended attribute is

	// privilegedMark is ownMark for clones that root has made; see
	// xattr(7), trusted extended attributes.
	privilegedMark = "trusted.clonefs.template"

	noCowFlag = 0x00800000 // FS_NOCOW_FL of linux/fs.h
)

func reflink(target, source int) error { return unix.IoctlFileClone(target, source) }

func renameNoReplace(top int, name, newName string) error {
	return unix.Renameat2(top, name, top, newName, unix.RENAME_NOREPLACE)
}

// setNoCow makes the target, which must be empty, as the source in one respect:
// whether Btrfs overwrites it in place (chattr +C, usual for disk images). It
// shares no blocks between files that differ in it (EINVAL). Where there is no
// such flag, nothing happens.
func setNoCow(target, source *os.File) {
	want, err := unix.IoctlGetUint32(fd(source), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return
	}
	is, err := unix.IoctlGetUint32(fd(target), unix.FS_IOC_GETFLAGS)
	if err == nil && (is^want)&noCowFlag != 0 {
		_ = unix.IoctlSetPointerInt(fd(target), unix.FS_IOC_SETFLAGS, int(is^noCowFlag))
	}
}

// isMountPoint tells whether something is mounted at name. Device numbers alone
// do not tell: each subvolume of Btrfs has its own.
func isMountPoint(dir *os.File, name string) bool {
	var s unix.Statx_t
	err := unix.Statx(fd(dir), name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &s)
	if err == nil && s.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	}
	return isOnOtherDevice(dir, name) // before Linux 5.8
}

// isOpenElsewhere tells whether a file that is open for reading is open a second
// time, in this process or another: a write lease is given to no such file
// (fcntl(2)). It is false where that cannot be found out.
func isOpenElsewhere(file *os.File) bool {
	_, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	if err == nil {
		_, _ = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return err == unix.EAGAIN
}

// inodePath is a path that leads to the very inode of a descriptor, also of one
// that only names it (O_PATH), for the system calls that want a path.
func inodePath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

func chmodInode(fd int, mode uint32) error { return unix.Chmod(inodePath(fd), mode) }

func chownInode(fd, uid, gid int) error {
	return unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH)
}

func setTimes(fd int, times []unix.Timespec) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, inodePath(fd), times, 0)
}

func getxattr(fd int, name string, dest []byte) (int, error) {
	return unix.Getxattr(inodePath(fd), name, dest)
}

func setxattr(fd int, name string, data []byte, flags int) error {
	return unix.Setxattr(inodePath(fd), name, data, flags)
}

func listxattr(fd int, dest []byte) (int, error) { return unix.Listxattr(inodePath(fd), dest) }

func removexattr(fd int, name string) error { return unix.Removexattr(inodePath(fd), name) }

func permissions(s *unix.Stat_t) uint32 { return s.Mode & 0o7777 }

func makeNode(dir *os.File, name string, s *unix.Stat_t) error {
	return unix.Mknodat(fd(dir), name, s.Mode&unix.S_IFMT|0o600, int(s.Rdev))
}
