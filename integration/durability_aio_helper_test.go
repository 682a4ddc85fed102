//go:build linux

package integration

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An aioRequest is struct iocb of linux/aio_abi.h, on little-endian machines.
type aioRequest struct {
	_, _    uint32 // aio_data
	_       uint32 // aio_key
	rwFlags int32
	opcode  uint16
	_       int16 // aio_reqprio
	file    uint32
	buffer  uint64
	size    uint64
	offset  int64
	_       uint64 // aio_reserved2
	_, _    uint32 // aio_flags, aio_resfd
}

// An aioEvent is struct io_event.
type aioEvent struct{ data, request, result, result2 uint64 }

// aioWrite writes by asynchronous I/O (io_submit(2)), as VirtualBox and qemu do
// on a file that is open with O_DIRECT, and waits for the end.
func aioWrite(t *testing.T, fd uintptr, data []byte, off int64, flags int32) {
	t.Helper()
	const write = 1 // IOCB_CMD_PWRITE
	var context uintptr
	aioCall(t, unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&context)), 0)
	defer func() { aioCall(t, unix.SYS_IO_DESTROY, context, 0, 0) }()
	request := &aioRequest{
		opcode: write, file: uint32(fd), offset: off, rwFlags: flags,
		buffer: uint64(uintptr(unsafe.Pointer(&data[0]))), size: uint64(len(data)),
	}
	requests := []*aioRequest{request}
	aioCall(t, unix.SYS_IO_SUBMIT, context, 1, uintptr(unsafe.Pointer(&requests[0])))
	var event aioEvent
	got, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, context, 1, 1, uintptr(unsafe.Pointer(&event)), 0, 0)
	require.Zero(t, errno)
	require.EqualValues(t, 1, got)
	require.EqualValues(t, len(data), event.result)
}

// aligned returns memory that direct I/O can be done with.
func aligned(t *testing.T, size int) []byte {
	t.Helper()
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Munmap(b) })
	return b
}

func aioCall(t *testing.T, call, a, b, c uintptr) {
	t.Helper()
	_, _, errno := unix.Syscall(call, a, b, c)
	require.Zero(t, errno)
}
