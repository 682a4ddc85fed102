package fs

import (
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// Native I/O: the programs that the user names read and write the stored image, by
// way of the kernel alone (FUSE passthrough, Documentation/filesystems/
// fuse-passthrough.rst), and so see the stored UUIDs. All others have the mapped
// view of the same file at the same time.
//
// The kernel does not let one inode be cached for some descriptors and passed
// through for others (fs/fuse/iomode.c): an open that mixes them fails with EIO.
// Which it is must not depend on who comes first, and cannot be changed while a file
// is open. So every descriptor of an image is backed by the stored file, from its
// node's first open on, and for a program that is not named the kernel is told to
// send reads and writes here all the same (FOPEN_DIRECT_IO). Files that are no
// images are cached as ever.

// A backer has the kernel read and write files by itself.
type backer interface {
	RegisterBackingFd(file *fuse.BackingMap) (id int32, errno syscall.Errno)
	UnregisterBackingFd(id int32) syscall.Errno
}

// nativeIO is what a mount knows of it. The backer is nil where it is not wanted,
// or not possible.
type nativeIO struct {
	programs []string
	backer   atomic.Pointer[backer]
}

// disabledCapabilities keeps the kernel from serving a stored header where nobody
// asked for it by name.
func (n *nativeIO) disabledCapabilities() uint64 {
	if len(n.programs) == 0 {
		return fuse.CAP_PASSTHROUGH
	}
	return 0
}

// enable turns native I/O on if programs are named and the kernel does it.
func (n *nativeIO) enable(kernel any) error {
	if len(n.programs) == 0 {
		return nil
	}
	b, ok := kernel.(backer)
	if !ok {
		return syscall.EOPNOTSUPP
	}
	if err := try(b); err != nil {
		return err
	}
	n.backer.Store(&b)
	return nil
}

// try backs a file, which needs a kernel that can do it, and CAP_SYS_ADMIN.
func try(b backer) error {
	fd, err := anonymousFile()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	id, errno := b.RegisterBackingFd(&fuse.BackingMap{Fd: int32(fd)})
	if errno == 0 {
		errno = b.UnregisterBackingFd(id)
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// includes tells whether a process runs one of the programs. Only what it executes
// counts, not what it calls itself. A program in a container that the daemon cannot
// look into has the number 0.
func (n *nativeIO) includes(pid uint32) bool {
	if pid == 0 {
		return false
	}
	executable, err := executableOf(pid)
	if err != nil {
		return false
	}
	executable = strings.TrimSuffix(executable, " (deleted)") // by an update, say
	for _, program := range n.programs {
		if executable == program || filepath.Base(executable) == program {
			return true
		}
	}
	return false
}

// A backing is how the kernel is to do the I/O of a node's file.
type backing struct {
	mu      sync.Mutex
	decided bool
	plain   bool  // not by itself
	id      int32 // of the stored file, while files > 0
	files   int   // that are open, as far as the kernel has told us
}

// acquire returns the number of the stored file for another open of it, and false
// if the file is not to be backed.
func (b *backing) acquire(f *file, kernel backer) (id int32, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.decided {
		b.decided, b.plain = true, !f.mayBecomeNative()
	}
	if b.plain {
		return 0, false
	}
	if b.files == 0 {
		var errno syscall.Errno
		if b.id, errno = kernel.RegisterBackingFd(&fuse.BackingMap{Fd: int32(f.fd)}); errno != 0 {
			b.plain = true // nor any later: it lies on overlayfs, say, or on FUSE
			f.node.mirror.log.Info("no native I/O", "place", f.node.describe(), "error", errno)
			return 0, false
		}
	}
	b.files++
	return b.id, true
}

// release is called when the kernel has told of the last close of a file.
func (b *backing) release(kernel backer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.files--; b.files > 0 {
		return nil
	}
	if errno := kernel.UnregisterBackingFd(b.id); errno != 0 && errno != syscall.ENODEV {
		return errno // ENODEV: the mount has ended
	}
	return nil
}

// mayBecomeNative tells whether the file is an image, or too short to tell, as every
// image is at first. The kernel opens the stored file with each client's flags, so
// that must not fail for one of them.
func (f *file) mayBecomeNative() bool {
	f.header.mu.Lock()
	stored, _, err := f.header.loadQuietly(f.fd, f.vol.mask)
	f.header.mu.Unlock()
	if err != nil {
		return false
	}
	_, image := vdi.Recognize(stored)
	return (image || len(stored) < vdi.HeaderSize) && opensDirect(f.fd)
}

// openBacked answers the open of a file that is to be backed; false says that it
// is not.
func (f *file) openBacked(caller *fuse.Caller, flags int) (reply uint32, ok bool) {
	native := &f.node.mirror.native
	kernel := native.backer.Load()
	if kernel == nil {
		return 0, false
	}
	if f.backing, ok = f.node.backing.acquire(f, *kernel); !ok {
		return 0, false
	}
	if native.includes(caller.Pid) && f.suitsNative(flags) {
		return fuse.FOPEN_PASSTHROUGH, true
	}
	return fuse.FOPEN_PASSTHROUGH | fuse.FOPEN_DIRECT_IO, true
}

// suitsNative tells whether a named program may have the stored file itself.
//
// Not where writing must take setuid away, which the kernel leaves to us. And not
// for O_DIRECT where that does less than here: OpenZFS since 2.3 refuses I/O that
// is not aligned to pages, and a guest's disk is read in sectors.
func (f *file) suitsNative(flags int) bool {
	s, err := statAt(f.fd, "")
	if err != nil || s.attr.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		return false
	}
	if flags&unix.O_DIRECT != 0 && !readsSectors(f.fd) {
		f.node.mirror.log.Warn("no native I/O: the file system refuses direct I/O of single sectors; on ZFS set direct=disabled",
			"place", f.node.describe())
		return false
	}
	return true
}

// closeBacked is called when the file is closed.
func (f *file) closeBacked() error {
	kernel := f.node.mirror.native.backer.Load()
	if f.backing == 0 || kernel == nil {
		return nil
	}
	return f.node.backing.release(*kernel)
}
