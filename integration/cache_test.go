//go:build linux

package integration

import (
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

func TestReadingAFileTakesNoMoreRequestsThanItMust(t *testing.T) {
	t.Parallel()
	m := mountCounted(t, fs.Options{}, "vm")
	require.NoError(t, os.WriteFile(m.source+"/vm/disk", make([]byte, cachedSize), 0o600))
	sent := requestsForRead(t, m, m.mountpoint+"/vm/disk")
	require.Equal(t, map[string]int{"LOOKUP": 2, "OPEN": 1, "READ": 1, "RELEASE": 1}, sent)

	awaitWarm(t, m, m.mountpoint+"/vm/disk")
	sent = requestsForRead(t, m, m.mountpoint+"/vm/disk")
	require.Equal(t, map[string]int{"LOOKUP": 2, "OPEN": 1, "RELEASE": 1}, sent, "once more, after it was closed")
}

// requestsForRead returns the requests for a file to be opened, read and closed. Those
// for attributes of the mount's own directory are left out: it is nobody's name, so
// the kernel does not look it up, but asks for its attributes once a second.
func requestsForRead(t *testing.T, m *mounted, path string) map[string]int {
	t.Helper()
	time.Sleep(20 * time.Millisecond) // the kernel forgets the volume's name
	sent := requests(t, m, func() { readOnce(t, path) })
	require.LessOrEqual(t, sent["GETATTR"], 1, "%v", sent)
	delete(sent, "GETATTR")
	return sent
}

func TestWritingAVirtualDiskTakesOneRequestPerWrite(t *testing.T) {
	const writes = 1000
	m := mountCounted(t, fs.Options{}, "vm")
	require.NoError(t, os.WriteFile(m.source+"/vm/disk.vdi", append(realHeader(t), make([]byte, 1<<20)...), 0o600))
	disk, err := os.OpenFile(m.mountpoint+"/vm/disk.vdi", os.O_RDWR|unix.O_DIRECT, 0)
	require.NoError(t, err)
	defer disk.Close()
	block := aligned(t, 4096)
	aioWrite(t, disk.Fd(), block, 0, 0) // asks, once for a file, whether it has security.capability
	sent := requests(t, m, func() { aioWrites(t, disk.Fd(), block, writes) })
	require.Equal(t, map[string]int{"WRITE": writes}, sent, "as VirtualBox does it: O_DIRECT and io_submit(2)")
}

func TestPagesThatTheKernelKeepsAreOfOneIdentity(t *testing.T) {
	t.Parallel()
	source, mnt := mountVolumes(t, fs.Options{}, "a")
	v, _ := source.Volume("a")
	awaitAge(t, v.Dir+"/disk.vdi", 3*time.Second)
	for range 3 {
		require.Equal(t, presented(t, "zfs:a"), uuidOf(t, mnt+"/a/disk.vdi"))
	}
	v.Identity = "name:pinned"
	source.set(v)
	require.Eventually(t, func() bool { return uuidOf(t, mnt+"/a/disk.vdi") == presented(t, "name:pinned") },
		5*time.Second, 10*time.Millisecond, "the kernel tells of the last close a moment after it")
	source.set(v)
	require.Equal(t, presented(t, "name:pinned"), uuidOf(t, mnt+"/a/disk.vdi"))
}

// A client's own write changes the modification time, so the kernel drops the pages at
// the next lookup (CAP_AUTO_INVAL_DATA), and reads them once more.
func TestAFileIsWarmAgainAfterAClientsOwnWrite(t *testing.T) {
	t.Parallel()
	m := mountCounted(t, fs.Options{}, "vm")
	path := m.mountpoint + "/vm/disk"
	require.NoError(t, os.WriteFile(path, make([]byte, cachedSize), 0o600))
	awaitWarm(t, m, path)
	overwrite(t, path, []byte("written"))
	require.Equal(t, "written", string(readOnce(t, path)[:7]))
	awaitWarm(t, m, path)
	require.Equal(t, "written", string(readOnce(t, path)[:7]))
}

// A daemon of root's needs CAP_LEASE to find out who writes to others' files.
func TestARootDaemonLetsTheKernelKeepPagesOfOthersFiles(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "job-1/disk.vdi")
	require.NoError(t, os.Chown(c.path("src/job-1/disk.vdi"), 65534, 65534))
	c.mount("--log-level=debug")
	reads := func() int { return strings.Count(c.log(), ": READ ") }
	c.eventually("a file is read without asking for it", func() bool {
		before := reads()
		_, err := os.ReadFile(c.path("mnt/job-1/disk.vdi"))
		require.NoError(t, err)
		return reads() == before
	})
}

// aioWrites writes so many times at once, all over a file of 1 MiB.
func aioWrites(t *testing.T, fd uintptr, block []byte, count int) {
	t.Helper()
	var context uintptr
	aioCall(t, unix.SYS_IO_SETUP, uintptr(count), uintptr(unsafe.Pointer(&context)), 0)
	defer func() { aioCall(t, unix.SYS_IO_DESTROY, context, 0, 0) }()
	requests := make([]*aioRequest, count)
	for i := range requests {
		requests[i] = &aioRequest{
			opcode: 1, // IOCB_CMD_PWRITE
			file:   uint32(fd), offset: int64(len(block) * (1 + i%255)),
			buffer: uint64(uintptr(unsafe.Pointer(&block[0]))), size: uint64(len(block)),
		}
	}
	for sent := 0; sent < count; {
		n, _, errno := unix.Syscall(unix.SYS_IO_SUBMIT, context, uintptr(count-sent), uintptr(unsafe.Pointer(&requests[sent])))
		require.Zero(t, errno)
		sent += int(n)
	}
	events := make([]aioEvent, count)
	for done := 0; done < count; {
		n, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, context, 1, uintptr(count-done), uintptr(unsafe.Pointer(&events[done])), 0, 0)
		require.Zero(t, errno)
		done += int(n)
	}
	for _, e := range events {
		require.EqualValues(t, len(block), e.result)
	}
}
