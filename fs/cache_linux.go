package fs

import "golang.org/x/sys/unix"

// timekeepers are the file systems, as statfs(2) numbers them, whose change times are
// this kernel's: any change of a file's content brings a new one, with a resolution
// of at most a second. Not those whose files are changed by other machines.
var timekeepers = map[uint32]bool{
	unix.EXT4_SUPER_MAGIC:     true,
	unix.XFS_SUPER_MAGIC:      true,
	unix.BTRFS_SUPER_MAGIC:    true,
	unix.F2FS_SUPER_MAGIC:     true,
	unix.TMPFS_MAGIC:          true,
	unix.BCACHEFS_SUPER_MAGIC: true,
	0x2fc12fc1:                true, // ZFS
}

func keepsTimes(fd int) bool { return timekeepers[fileSystemOf(fd)] }

// fileSystemOf returns the number of the file system that a file lies on, 0 if it
// cannot be found out.
func fileSystemOf(fd int) uint32 {
	var s unix.Statfs_t
	if retry(func() error { return unix.Fstatfs(fd, &s) }) != nil {
		return 0
	}
	return uint32(s.Type)
}

// withoutWriters runs use, which must not take long, while nobody on this machine has
// the file open for writing, nor mapped so. It returns false where somebody has, or
// where that cannot be found out.
//
// A read lease is given in just that case (fcntl(2), F_SETLEASE), and keeps who
// opens the file for writing waiting until it is returned.
func withoutWriters(fd int, use func() bool) bool {
	lease := func(kind int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, kind)
		return err
	}
	if lease(unix.F_RDLCK) != nil {
		return false
	}
	good := use()
	return lease(unix.F_UNLCK) == nil && good
}
