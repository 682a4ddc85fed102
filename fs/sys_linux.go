package fs

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	openPath = unix.O_PATH
	// keptOpenFlags are the flags of a client's open(2) that the backing file
	// is opened with, apart from the access mode: those that decide when data
	// is stable and whether reading counts as access.
	keptOpenFlags = unix.O_SYNC | unix.O_DSYNC | noAtime
	noAtime       = unix.O_NOATIME
	nameless      = unix.O_TMPFILE

	// handlesPrivileges: the daemon, not the kernel, takes setuid and setgid
	// off a file that an unprivileged client changes; see privileges.go.
	handlesPrivileges = fuse.CAP_HANDLE_KILLPRIV_V2

	asksBeforeRefusal = true // see glance

	errNoXattr = unix.ENODATA // what a missing extended attribute is

	renameExchange = unix.RENAME_EXCHANGE
	renameWhiteout = unix.RENAME_WHITEOUT

	utimeNow  = unix.UTIME_NOW
	utimeOmit = unix.UTIME_OMIT

	fallocKeepSize  = unix.FALLOC_FL_KEEP_SIZE
	fallocPunchHole = unix.FALLOC_FL_PUNCH_HOLE
	fallocZeroRange = unix.FALLOC_FL_ZERO_RANGE
)

// openBeneath opens a path beneath the directory root. Symbolic links on the
// way, "..", and whatever else leads out of root make it fail. A path may be
// longer than PATH_MAX.
func openBeneath(root int, path string, flags int) (int, error) {
	how := &unix.OpenHow{
		Flags:   uint64(flags | unix.O_NOFOLLOW | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	if len(path) >= pathMax {
		return openLong(root, path, flags)
	}
	fd, err := retry2(func() (int, error) { return unix.Openat2(root, path, how) })
	if err == unix.ENOSYS || err == unix.EPERM && openat2Forbidden() {
		return openStepwise(root, path, flags) // before Linux 5.6, or forbidden by a seccomp filter
	}
	return fd, err
}

// openLong resolves a long path in two parts.
func openLong(root int, path string, flags int) (int, error) {
	cut := strings.LastIndexByte(path[:pathMax-1], '/')
	if cut < 0 {
		return -1, unix.ENAMETOOLONG
	}
	dir, err := openBeneath(root, path[:cut], unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	return openBeneath(dir, path[cut+1:], flags)
}

// openat2Forbidden tells whether openat2(2) is refused whatever it is asked.
func openat2Forbidden() bool {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err == nil {
		unix.Close(fd)
	}
	return err == unix.EPERM
}

// statAt reads the attributes of name in the directory fd, not following a
// symbolic link, or of fd itself if name is empty.
func statAt(fd int, name string) (status, error) {
	var s unix.Statx_t
	err := retry(func() error {
		return unix.Statx(fd, name, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &s)
	})
	if err != nil {
		return status{}, err
	}
	return status{
		id: fileID{
			dev:   unix.Mkdev(s.Dev_major, s.Dev_minor),
			ino:   s.Ino,
			birth: s.Btime.Sec*1e9 + int64(s.Btime.Nsec),
		},
		attr: fuse.Attr{
			Size: s.Size, Blocks: s.Blocks, Blksize: s.Blksize,
			Atime: uint64(s.Atime.Sec), Atimensec: s.Atime.Nsec,
			Mtime: uint64(s.Mtime.Sec), Mtimensec: s.Mtime.Nsec,
			Ctime: uint64(s.Ctime.Sec), Ctimensec: s.Ctime.Nsec,
			Mode: uint32(s.Mode), Nlink: s.Nlink,
			Owner: fuse.Owner{Uid: s.Uid, Gid: s.Gid},
			Rdev:  uint32(unix.Mkdev(s.Rdev_major, s.Rdev_minor)),
		},
	}, nil
}

// inodePath is a path that leads to the very inode of a descriptor, also of one
// that only names it (O_PATH), for the system calls that want a path.
func inodePath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// withoutAccess runs read, which reads from fd, and leaves the file's access
// time alone if the daemon may (O_NOATIME is for the owner and root). Reads of
// clients that happen to run beside it may go uncounted; the header's lock
// keeps others that come here out.
func withoutAccess(fd int, read func() error) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NOATIME != 0 {
		return read()
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags|unix.O_NOATIME); err != nil {
		return read()
	}
	err = read()
	if _, back := unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags); err == nil {
		err = back
	}
	return err
}

// reopen opens the inode of an O_PATH descriptor anew.
func reopen(fd, flags int) (int, error) {
	return unix.Open(inodePath(fd), flags&^unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

func chmodInode(fd int, mode uint32) error { return unix.Chmod(inodePath(fd), mode) }

func chownInode(fd, uid, gid int) error {
	return unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH)
}

func setTimes(fd int, times []unix.Timespec) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, inodePath(fd), times, 0)
}

func linkInode(fd, dir int, name string) error {
	return unix.Linkat(unix.AT_FDCWD, inodePath(fd), dir, name, unix.AT_SYMLINK_FOLLOW)
}

func getxattr(fd int, name string, dest []byte) (int, error) {
	return unix.Getxattr(inodePath(fd), name, dest)
}

func setxattr(fd int, name string, data []byte, flags int) error {
	return unix.Setxattr(inodePath(fd), name, data, flags)
}

func listxattr(fd int, dest []byte) (int, error) { return unix.Listxattr(inodePath(fd), dest) }

func removexattr(fd int, name string) error { return unix.Removexattr(inodePath(fd), name) }

func renameAt(oldDir int, oldName string, newDir int, newName string, flags uint32) error {
	return unix.Renameat2(oldDir, oldName, newDir, newName, uint(flags))
}

func makeNode(dir int, name string, mode, dev uint32) error {
	return unix.Mknodat(dir, name, mode, int(dev))
}

func fdatasync(fd int) error { return unix.Fdatasync(fd) }

func pwritev(fd int, data [][]byte, off int64) (int, error) { return unix.Pwritev(fd, data, off) }

func fallocate(fd int, mode uint32, off, size int64) error {
	return unix.Fallocate(fd, mode, off, size)
}

func copyFileRange(in int, offIn int64, out int, offOut int64, size int) (int, error) {
	return retry2(func() (int, error) { return unix.CopyFileRange(in, &offIn, out, &offOut, size, 0) })
}

func statfs(fd int, out *fuse.StatfsOut) error {
	var s syscall.Statfs_t
	if err := retry(func() error { return syscall.Fstatfs(fd, &s) }); err != nil {
		return err
	}
	out.FromStatfsT(&s)
	return nil
}
