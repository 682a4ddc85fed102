package dir

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	openPath  = 0x00400000 // O_PATH of sys/fcntl.h, since FreeBSD 13.1
	emptyPath = 0x4000     // AT_EMPTY_PATH, likewise

	errNoXattr = unix.ENOATTR // what a missing extended attribute is

	// privilegedMark is ownMark for clones that root has made; see
	// extattr(9), EXTATTR_NAMESPACE_SYSTEM.
	privilegedMark = "system.clonefs.template"
)

// reflink refuses: FreeBSD shares blocks with copy_file_range(2) where it can,
// and copies where it cannot, without telling which.
func reflink(int, int) error { return unix.EOPNOTSUPP }

func renameNoReplace(int, string, string) error { return unix.EOPNOTSUPP }

// setNoCow does nothing: it is about a flag of Btrfs.
func setNoCow(*os.File, *os.File) {}

func isMountPoint(dir *os.File, name string) bool { return isOnOtherDevice(dir, name) }

// isOpenElsewhere does not know: FreeBSD has no leases.
func isOpenElsewhere(*os.File) bool { return false }

func chmodInode(fd int, mode uint32) error { return unix.Fchmodat(fd, "", mode, emptyPath) }

func chownInode(fd, uid, gid int) error { return unix.Fchownat(fd, "", uid, gid, emptyPath) }

func setTimes(fd int, times []unix.Timespec) error {
	return unix.UtimesNanoAt(fd, "", times, emptyPath)
}

func getxattr(fd int, name string, dest []byte) (int, error) { return unix.Fgetxattr(fd, name, dest) }

func setxattr(fd int, name string, data []byte, flags int) error {
	return unix.Fsetxattr(fd, name, data, flags)
}

func listxattr(fd int, dest []byte) (int, error) { return unix.Flistxattr(fd, dest) }

func removexattr(fd int, name string) error { return unix.Fremovexattr(fd, name) }

func permissions(s *unix.Stat_t) uint32 { return uint32(s.Mode) & 0o7777 }

func makeNode(dir *os.File, name string, s *unix.Stat_t) error {
	return unix.Mknodat(fd(dir), name, uint32(s.Mode)&unix.S_IFMT|0o600, s.Rdev)
}
