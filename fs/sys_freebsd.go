package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	openPath      = 0x00400000 // O_PATH of sys/fcntl.h, since FreeBSD 13.1
	emptyPath     = 0x4000     // AT_EMPTY_PATH, likewise
	keptOpenFlags = unix.O_SYNC
	noAtime       = 0
	nameless      = 0 // there is no O_TMPFILE

	fallocKeepSize  = 1 // FreeBSD's posix_fallocate(2) has no modes;
	fallocPunchHole = 2 // these are the numbers that FUSE uses
	fallocZeroRange = 16

	handlesPrivileges = 0 // the kernel sends the mode that a change leaves

	asksBeforeRefusal = false // see glance

	errNoXattr = unix.ENOATTR // what a missing extended attribute is

	renameExchange = 2
	renameWhiteout = 4

	utimeNow  = -1 // UTIME_NOW and UTIME_OMIT of sys/stat.h
	utimeOmit = -2
)

// openBeneath opens a path beneath the directory root, following no link.
func openBeneath(root int, path string, flags int) (int, error) {
	return openStepwise(root, path, flags)
}

// statAt reads the attributes of name in the directory fd, not following a
// symbolic link, or of fd itself if name is empty.
func statAt(fd int, name string) (status, error) {
	var s unix.Stat_t
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags = emptyPath
	}
	if err := retry(func() error { return unix.Fstatat(fd, name, &s, flags) }); err != nil {
		return status{}, err
	}
	return status{
		id: fileID{dev: s.Dev, ino: s.Ino, birth: s.Btim.Nano()},
		attr: fuse.Attr{
			Size: uint64(s.Size), Blocks: uint64(s.Blocks), Blksize: uint32(s.Blksize),
			Atime: uint64(s.Atim.Sec), Atimensec: uint32(s.Atim.Nsec),
			Mtime: uint64(s.Mtim.Sec), Mtimensec: uint32(s.Mtim.Nsec),
			Ctime: uint64(s.Ctim.Sec), Ctimensec: uint32(s.Ctim.Nsec),
			Mode: uint32(s.Mode), Nlink: uint32(s.Nlink),
			Owner: fuse.Owner{Uid: s.Uid, Gid: s.Gid},
			Rdev:  uint32(s.Rdev),
		},
	}, nil
}

// withoutAccess runs read; there is no O_NOATIME.
func withoutAccess(_ int, read func() error) error { return read() }

// reopen opens the inode of an O_PATH descriptor anew; openat(2) does that for
// an empty path.
func reopen(fd, flags int) (int, error) {
	return unix.Openat(fd, "", flags&^unix.O_NOFOLLOW|unix.O_CLOEXEC|emptyPath, 0)
}

func chmodInode(fd int, mode uint32) error { return unix.Fchmodat(fd, "", mode, emptyPath) }

func chownInode(fd, uid, gid int) error { return unix.Fchownat(fd, "", uid, gid, emptyPath) }

func setTimes(fd int, times []unix.Timespec) error {
	return unix.UtimesNanoAt(fd, "", times, emptyPath)
}

func linkInode(fd, dir int, name string) error { return unix.Linkat(fd, "", dir, name, emptyPath) }

func getxattr(fd int, name string, dest []byte) (int, error) { return unix.Fgetxattr(fd, name, dest) }

func setxattr(fd int, name string, data []byte, flags int) error {
	return unix.Fsetxattr(fd, name, data, flags)
}

func listxattr(fd int, dest []byte) (int, error) { return unix.Flistxattr(fd, dest) }

func removexattr(fd int, name string) error { return unix.Fremovexattr(fd, name) }

func renameAt(oldDir int, oldName string, newDir int, newName string, flags uint32) error {
	if flags != 0 {
		return syscall.EINVAL // there is no renameat2(2)
	}
	return unix.Renameat(oldDir, oldName, newDir, newName)
}

func makeNode(dir int, name string, mode, dev uint32) error {
	return unix.Mknodat(dir, name, mode, uint64(dev))
}

func fdatasync(fd int) error { return unix.Fsync(fd) }

// fallocate is not in x/sys for FreeBSD; callers write zeros instead.
func fallocate(int, uint32, int64, int64) error { return syscall.EOPNOTSUPP }

// copyFileRange is not in x/sys for FreeBSD; the kernel reads and writes then.
func copyFileRange(int, int64, int, int64, int) (int, error) { return 0, syscall.ENOSYS }

func pwritev(fd int, data [][]byte, off int64) (int, error) {
	done := 0
	for _, part := range data {
		n, err := unix.Pwrite(fd, part, off+int64(done))
		done += max(n, 0)
		if err != nil || n < len(part) {
			return done, err
		}
	}
	return done, nil
}

func statfs(fd int, out *fuse.StatfsOut) error {
	var s syscall.Statfs_t
	if err := retry(func() error { return syscall.Fstatfs(fd, &s) }); err != nil {
		return err
	}
	out.FromStatfsT(&s)
	return nil
}
