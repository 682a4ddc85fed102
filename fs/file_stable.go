package fs

import "golang.org/x/sys/unix"

// A write that must be stable when it returns (O_SYNC, O_DSYNC, RWF_DSYNC) is
// mostly the kernel's affair: it sends FSYNC after WRITE. For asynchronous direct
// I/O it does not (fuse_direct_write_iter of fs/fuse/file.c), and only says in the
// request what the client wants: that is how qemu writes with FUA.

// stableFlags are the flags of open(2) that ask for it.
const stableFlags = keptOpenFlags &^ noAtime

// stabilize brings to stable storage what was written, unless the write has done
// so, because the backing file is open for such writes as well.
func (f *file) stabilize() error {
	flags, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0)
	if err == nil && flags&stableFlags != 0 {
		return nil
	}
	return retry(func() error { return unix.Fsync(f.fd) })
}
