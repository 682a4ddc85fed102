package connection

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Messages that nobody asked for (enum fuse_notify_code of linux/fuse.h).
const (
	notifyInvalInode = 2
	notifyInvalEntry = 3
	notifyDelete     = 6
)

// InodeNotify makes the kernel forget the attributes of a node, and length bytes of
// its pages from off: all for a length of 0, none for a negative off.
func (c *Connection) InodeNotify(node uint64, off, length int64) fuse.Status {
	return c.notify(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: node, Off: off, Length: length}, "")
}

// EntryNotify makes the kernel forget a name in a directory.
func (c *Connection) EntryNotify(parent uint64, name string) fuse.Status {
	return c.notify(notifyInvalEntry, fuse.NotifyInvalEntryOut{Parent: parent, NameLen: uint32(len(name))}, name)
}

// DeleteNotify is EntryNotify for a name that is gone: whoever watches the directory
// hears of it.
func (c *Connection) DeleteNotify(parent, child uint64, name string) fuse.Status {
	return c.notify(notifyDelete, fuse.NotifyInvalDeleteOut{Parent: parent, Child: child, NameLen: uint32(len(name))}, name)
}

// InodeRetrieveCache is not offered: the kernel's pages are copies.
func (c *Connection) InodeRetrieveCache(uint64, int64, []byte) (int, fuse.Status) {
	return 0, fuse.ENOSYS
}

// InodeNotifyStoreCache is not offered: the kernel asks for what it wants.
func (c *Connection) InodeNotifyStoreCache(uint64, int64, []byte) fuse.Status { return fuse.ENOSYS }

// notify sends a message, and a name after it with the zero byte that ends it.
func (c *Connection) notify(code int32, message any, name string) fuse.Status {
	var b bytes.Buffer
	b.Write(make([]byte, outHeaderSize))
	if err := binary.Write(&b, binary.NativeEndian, message); err != nil {
		return fuse.EINVAL
	}
	if name != "" {
		b.WriteString(name + "\x00")
	}
	*(*fuse.OutHeader)(unsafe.Pointer(&b.Bytes()[0])) = fuse.OutHeader{Length: uint32(b.Len()), Status: code}
	return statusOf(c.use(func(device int) error { return write(device, b.Bytes()) }))
}

// statusOf is for errors of system calls.
func statusOf(err error) fuse.Status {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return fuse.Status(errno)
	}
	return fuse.OK
}

// RegisterBackingFd gives the kernel a file to read and write by itself
// (FUSE_DEV_IOC_BACKING_OPEN), and returns the number to name it by.
func (c *Connection) RegisterBackingFd(m *fuse.BackingMap) (id int32, errno syscall.Errno) {
	const backingOpen = 0x4010e501
	return c.ioctl(backingOpen, unsafe.Pointer(m))
}

// UnregisterBackingFd takes back what RegisterBackingFd gave; descriptors that have it
// keep it.
func (c *Connection) UnregisterBackingFd(id int32) syscall.Errno {
	const backingClose = 0x4004e502
	_, errno := c.ioctl(backingClose, unsafe.Pointer(&id))
	return errno
}

func (c *Connection) ioctl(request uintptr, argument unsafe.Pointer) (result int32, errno syscall.Errno) {
	err := c.use(func(device int) error {
		r, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(device), request, uintptr(argument))
		result, errno = int32(r), e
		return nil
	})
	if err != nil {
		return 0, syscall.ENODEV
	}
	return result, errno
}
