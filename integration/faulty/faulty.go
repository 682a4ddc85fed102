//go:build linux

// Package faulty is a file system for tests that lies below the one under test:
// it mirrors a directory, keeps a list of the calls that reach it, and lets the
// test fail or hold up any of them.
//
// It caches nothing: every read, write and fsync of whoever uses it arrives here,
// in the order in which it was made. It cannot be mapped for writing (mmap(2)
// with MAP_SHARED), since its files are opened with FOPEN_DIRECT_IO.
package faulty

import (
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An Op names a kind of call.
type Op string

// The calls, by the system calls that make them. Truncate is a change of the
// size, SetAttr one of anything else; Release is the last close of an open file,
// and Flush any close.
const (
	Lookup      Op = "lookup"
	GetAttr     Op = "getattr"
	SetAttr     Op = "setattr"
	Truncate    Op = "truncate"
	Mknod       Op = "mknod"
	Mkdir       Op = "mkdir"
	Symlink     Op = "symlink"
	Link        Op = "link"
	Readlink    Op = "readlink"
	Unlink      Op = "unlink"
	Rmdir       Op = "rmdir"
	Rename      Op = "rename"
	GetXAttr    Op = "getxattr"
	SetXAttr    Op = "setxattr"
	ListXAttr   Op = "listxattr"
	RemoveXAttr Op = "removexattr"
	Create      Op = "create"
	Open        Op = "open"
	Read        Op = "read"
	Write       Op = "write"
	Lseek       Op = "lseek"
	Fallocate   Op = "fallocate"
	Flush       Op = "flush"
	Fsync       Op = "fsync"
	OpenDir     Op = "opendir"
	ReadDir     Op = "readdir"
	FsyncDir    Op = "fsyncdir"
	StatFs      Op = "statfs"
)

// A Call is one that has reached the file system.
type Call struct {
	Op Op
	// Path is what it is about, beneath the mount point: "" for its root.
	Path string
	// Offset and Size are those of a read or write, Size that of a truncation.
	Offset, Size int64
	// Flags are those of open(2) for Open, Create and Write, where they
	// are the open file's and the write's own; DataOnly or 0 for Fsync and
	// FsyncDir.
	Flags uint32
}

// DataOnly is the flag of a call of fdatasync(2): FUSE_FSYNC_FDATASYNC.
const DataOnly = 1

// An Intercept is asked about every call before anything is done, by several
// goroutines at once. What it returns is the answer, unless it is 0: then the
// call goes on. It may wait.
type Intercept func(Call) syscall.Errno

// FS is a mounted file system.
type FS struct {
	// Dir is where it is mounted; Backing is the directory that it mirrors.
	Dir, Backing string

	mu        sync.Mutex
	calls     []Call
	intercept Intercept
	healed    chan struct{}     // closed when calls are not held up any more
	paths     map[uint64]string // by node ID
}

// Mount mounts a file system for the time of the test.
func Mount(t testing.TB) *FS {
	t.Helper()
	f := &FS{Dir: t.TempDir(), Backing: t.TempDir(), paths: map[uint64]string{fuse.FUSE_ROOT_ID: ""}}
	root, err := gofuse.NewLoopbackRoot(f.Backing)
	require.NoError(t, err)
	var never time.Duration
	options := &gofuse.Options{
		EntryTimeout: &never, NegativeTimeout: &never, AttrTimeout: &never, NullPermissions: true,
		MountOptions: fuse.MountOptions{
			Name: "faulty", FsName: "faulty", DirectMountStrict: os.Geteuid() == 0, MaxWrite: 1 << 20,
			DisableReadDirPlus: true, DisableSplice: true, DisabledCapabilities: fuse.CAP_PASSTHROUGH,
		},
	}
	server, err := fuse.NewServer(&wire{gofuse.NewNodeFS(root, options), f}, f.Dir, &options.MountOptions)
	require.NoError(t, err)
	go server.Serve()
	t.Cleanup(func() { f.unmount(t, server) })
	require.NoError(t, server.WaitMount())
	return f
}

// unmount lets everything through, and takes the mount away although it is in
// use, which fails the test.
func (f *FS) unmount(t testing.TB, server *fuse.Server) {
	f.Heal()
	err := server.Unmount()
	if err != nil {
		t.Errorf("unmount %s: %v: something of it is still in use", f.Dir, err)
		_ = unix.Unmount(f.Dir, unix.MNT_DETACH)
		return
	}
	server.Wait()
}

// Set makes intercept answer from now on.
func (f *FS) Set(intercept Intercept) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.intercept = intercept
	if f.healed != nil {
		close(f.healed)
		f.healed = nil
	}
}

// Fail makes every call of this kind fail from now on.
func (f *FS) Fail(op Op, errno syscall.Errno) {
	f.Set(func(c Call) syscall.Errno {
		if c.Op == op {
			return errno
		}
		return 0
	})
}

// Held are calls that are held up: each says that it has arrived, and goes on when
// it is given an answer.
type Held struct {
	Arrived chan Call
	Answers chan syscall.Errno
}

// Hold holds up the next count calls of this kind, until Heal.
func (f *FS) Hold(op Op, count int) Held {
	held := Held{make(chan Call, count), make(chan syscall.Errno, count)}
	healed := make(chan struct{})
	var calls atomic.Int64
	f.Set(func(c Call) syscall.Errno {
		if c.Op != op || calls.Add(1) > int64(count) {
			return 0
		}
		held.Arrived <- c
		select {
		case errno := <-held.Answers:
			return errno
		case <-healed:
			return 0
		}
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healed = healed
	return held
}

// Heal lets all calls through again.
func (f *FS) Heal() { f.Set(nil) }

// Forget empties the list of calls.
func (f *FS) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

// Calls returns the calls of these kinds since Forget, in order; all without any.
func (f *FS) Calls(ops ...Op) []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []Call
	for _, c := range f.calls {
		if len(ops) == 0 || slices.Contains(ops, c.Op) {
			calls = append(calls, c)
		}
	}
	return calls
}

// arrive notes a call and returns how it is to fail, 0 if it is not.
func (f *FS) arrive(c Call) syscall.Errno {
	f.mu.Lock()
	f.calls = append(f.calls, c)
	intercept := f.intercept
	f.mu.Unlock()
	if intercept == nil {
		return 0
	}
	return intercept(c)
}
