//go:build linux

package integration

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/faulty"
)

// durable are the ways in which a client asks for stable storage, and what must
// have reached the file system below when its system call returns.
var durable = []struct {
	name string
	do   func(t *testing.T, m *faultyMount)
	want []string
}{
	{"fsync", func(t *testing.T, m *faultyMount) {
		f := m.open(t, "disk.vdi", os.O_RDWR)
		writeAt(t, f, 8192)
		require.NoError(t, f.Sync())
	}, []string{"write vm/disk.vdi", "fsync vm/disk.vdi"}},
	{"fdatasync", func(t *testing.T, m *faultyMount) {
		f := m.open(t, "disk.vdi", os.O_RDWR)
		writeAt(t, f, 8192)
		require.NoError(t, unix.Fdatasync(int(f.Fd())))
	}, []string{"write vm/disk.vdi", "fsync vm/disk.vdi, data only"}},
	{"fsync of a header", func(t *testing.T, m *faultyMount) {
		f := m.open(t, "disk.vdi", os.O_RDWR)
		writeAt(t, f, 0)
		require.NoError(t, f.Sync())
	}, []string{"write vm/disk.vdi", "fsync vm/disk.vdi"}},
	{"fsync of a file that another descriptor wrote to", func(t *testing.T, m *faultyMount) {
		one, other := m.open(t, "disk.vdi", os.O_RDWR), m.open(t, "disk.vdi", os.O_RDONLY)
		writeAt(t, one, 8192)
		require.NoError(t, other.Sync())
	}, []string{"write vm/disk.vdi", "fsync vm/disk.vdi"}},
	{"fsync of a truncated and an allocated file", func(t *testing.T, m *faultyMount) {
		f := m.open(t, "disk.vdi", os.O_RDWR)
		require.NoError(t, f.Truncate(8192))
		require.NoError(t, unix.Fallocate(int(f.Fd()), 0, 0, 16384))
		require.NoError(t, f.Sync())
	}, []string{"truncate vm/disk.vdi", "fallocate vm/disk.vdi", "fsync vm/disk.vdi"}},
	{"fsync of the directory that a file was made in", func(t *testing.T, m *faultyMount) {
		m.open(t, "new", os.O_RDWR|os.O_CREATE)
		require.NoError(t, m.open(t, "", os.O_RDONLY).Sync())
	}, []string{"create vm/new", "fsyncdir vm"}},
	{"a file that replaces another (write, fsync, rename, fsync)", func(t *testing.T, m *faultyMount) {
		f := m.open(t, "new", os.O_RDWR|os.O_CREATE)
		writeAt(t, f, 0)
		require.NoError(t, f.Sync())
		require.NoError(t, os.Rename(m.path("new"), m.path("disk.vdi")))
		require.NoError(t, m.open(t, "", os.O_RDONLY).Sync())
	}, []string{"create vm/new", "write vm/new", "fsync vm/new", "rename vm/new", "fsyncdir vm"}},
	{"a write to a file that is open with O_SYNC", func(t *testing.T, m *faultyMount) {
		writeAt(t, m.open(t, "disk.vdi", os.O_RDWR|unix.O_SYNC), 8192)
	}, []string{"write vm/disk.vdi O_SYNC", "fsync vm/disk.vdi"}},
	{"a write to a file that is open with O_DSYNC", func(t *testing.T, m *faultyMount) {
		writeAt(t, m.open(t, "disk.vdi", os.O_RDWR|unix.O_DSYNC), 8192)
	}, []string{"write vm/disk.vdi O_DSYNC", "fsync vm/disk.vdi, data only"}},
	{"a write to a file that is made with O_SYNC", func(t *testing.T, m *faultyMount) {
		writeAt(t, m.open(t, "new", os.O_RDWR|os.O_CREATE|unix.O_SYNC), 0)
	}, []string{"create vm/new O_SYNC", "write vm/new O_SYNC", "fsync vm/new"}},
	{"direct I/O to a file that is open with O_DSYNC", func(t *testing.T, m *faultyMount) {
		writeAt(t, m.open(t, "disk.vdi", os.O_RDWR|unix.O_DSYNC|unix.O_DIRECT), 8192)
	}, []string{"write vm/disk.vdi O_DSYNC", "fsync vm/disk.vdi, data only"}},
	// For asynchronous direct I/O the kernel sends no FSYNC of its own.
	{"asynchronous direct I/O to a file that is open with O_DSYNC", func(t *testing.T, m *faultyMount) {
		aioWrite(t, m.open(t, "disk.vdi", os.O_RDWR|unix.O_DSYNC|unix.O_DIRECT).Fd(), aligned(t, 4096), 0, 0)
	}, []string{"write vm/disk.vdi O_DSYNC"}},
	{"asynchronous direct I/O with RWF_DSYNC", func(t *testing.T, m *faultyMount) {
		aioWrite(t, m.open(t, "disk.vdi", os.O_RDWR|unix.O_DIRECT).Fd(), aligned(t, 4096), 0, unix.RWF_DSYNC)
	}, []string{"write vm/disk.vdi", "fsync vm/disk.vdi"}},
	// Another process does it: a page fault of this one would wait for itself.
	{"msync of a mapped file", func(t *testing.T, m *faultyMount) {
		out, err := help("map", m.path("disk.vdi"), "600", "78").CombinedOutput()
		require.NoError(t, err, string(out))
	}, []string{"write vm/disk.vdi", "fsync vm/disk.vdi, data only"}},
}

func TestWhatAClientMakesDurableReachesTheBackingFileInOrder(t *testing.T) {
	for _, test := range durable {
		t.Run(test.name, func(t *testing.T) {
			m := mountOverFaulty(t)
			require.NoError(t, os.Truncate(m.stored("vm"), 1<<20)) // direct I/O that makes a file longer is synchronous
			m.lower.Forget()
			test.do(t, m)
			require.Equal(t, test.want, arrivals(m.lower))
		})
	}
}

func TestEveryCloseIsAskedForItsError(t *testing.T) {
	m := mountOverFaulty(t)
	f := m.open(t, "disk.vdi", os.O_RDWR)
	writeAt(t, f, 8192)
	second, err := unix.Dup(int(f.Fd()))
	require.NoError(t, err)
	m.lower.Forget()
	m.fail(faulty.Flush, syscall.EDQUOT)
	require.Equal(t, syscall.EDQUOT, unix.Close(second), "as NFS reports a full quota")
	require.ErrorIs(t, f.Close(), syscall.EDQUOT)
	m.lower.Heal()
	require.NoError(t, m.open(t, "disk.vdi", os.O_RDWR).Close(), "and nobody else is told")
}

// An error is told to whom it concerns, once, and as itself.
func TestAnErrorReachesItsCallerAndNobodyElse(t *testing.T) {
	calls := map[faulty.Op]func(f *os.File) error{
		faulty.Write: func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 8192); return err },
		faulty.Fsync: func(f *os.File) error { return f.Sync() },
		faulty.Flush: func(f *os.File) error { return f.Close() },
	}
	for op, call := range calls {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
			t.Run(string(op)+" "+unix.ErrnoName(errno), func(t *testing.T) {
				m := mountOverFaulty(t)
				one, other := m.open(t, "disk.vdi", os.O_RDWR), m.open(t, "disk.vdi", os.O_RDWR)
				writeAt(t, one, 0)
				m.lower.Forget()
				m.fail(op, errno)
				require.ErrorIs(t, call(one), errno)
				if op != faulty.Flush { // the last close asks once more when the client has been told
					require.Len(t, m.lower.Calls(op), 1, "it was not tried again behind the client's back")
				}
				m.lower.Heal()
				require.NoError(t, call(other))
				if op != faulty.Flush {
					require.NoError(t, call(one), "it was told")
				}
			})
		}
	}
}

func writeAt(t *testing.T, f *os.File, off int64) {
	t.Helper()
	n, err := f.WriteAt(aligned(t, 4096), off)
	require.NoError(t, err)
	require.Equal(t, 4096, n)
}

// arrivals are the calls that change something or make it stable, as they reached
// the file system below.
func arrivals(lower *faulty.FS) []string {
	var all []string
	for _, c := range lower.Calls(faulty.Create, faulty.Rename, faulty.Write, faulty.Truncate,
		faulty.Fallocate, faulty.Fsync, faulty.FsyncDir) {
		all = append(all, describeCall(c))
	}
	return all
}

func describeCall(c faulty.Call) string {
	text := string(c.Op) + " " + c.Path
	switch isSync := c.Op == faulty.Fsync || c.Op == faulty.FsyncDir; {
	case isSync && c.Flags&faulty.DataOnly != 0:
		return text + ", data only"
	case isSync:
		return text
	case c.Flags&unix.O_SYNC == unix.O_SYNC:
		return text + " O_SYNC"
	case c.Flags&unix.O_DSYNC != 0:
		return text + " O_DSYNC"
	}
	return text
}
