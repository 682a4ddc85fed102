package fs

import (
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// The kernel keeps the pages of a file that clients have read, for as long as it
// knows the inode, which is as long as the node lives. At every open it drops them,
// unless the answer says that they are still good (FOPEN_KEEP_CACHE). A cache is
// what the daemon knows of that.
//
// A claim says: the pages that the kernel has are what the backing file holds
// while it looks like this. It is made at an open that drops all pages, and holds
// as long as it may be relied on for two things:
//
//   - A later change shows. So there is a claim only if nobody has the file open for
//     writing (a store through a mapping that is there already shows nowhere), its
//     change time is so old that another change cannot bear the same, and the file
//     system is one that keeps such times itself (see vouch).
//   - No page was read of anything else meanwhile. A file may change and be what it
//     was again (zfs rollback brings back the times as well), so after each read the
//     file is looked at, and the claim given up if it differs.
//
// Clients' own writes need no care: they change the times, which ends the claim.
// The kernel drops the pages itself then, at the next lookup, because of the
// modification time (fuse_change_attributes, fs/fuse/inode.c).
type cache struct {
	claim atomic.Pointer[claim]
}

type claim struct {
	state fileState
	// made is set when the open at which the pages are dropped has returned to
	// the client. Until then another one must not rely on it.
	made atomic.Bool
}

// A fileState is what changes whenever the content of a file does.
type fileState struct {
	size         uint64
	mtime, ctime stamp
}

type stamp struct {
	sec  uint64
	nsec uint32
}

func stateOf(a *fuse.Attr) fileState {
	return fileState{a.Size, stamp{a.Mtime, a.Mtimensec}, stamp{a.Ctime, a.Ctimensec}}
}

// settled is the age from which a change time is known to be that of no change that
// is still to come: more than a tick of the kernel's clock, and than the second
// that small inodes of ext4 count in.
const settled = 2 * time.Second

func (s stamp) settled(now time.Time) bool {
	return time.Unix(int64(s.sec), int64(s.nsec)).Before(now.Add(-settled))
}

// openCached opens the kernel's cache of the file with f: it returns the flags that
// say whether the pages are good, and otherwise, because they are dropped, makes a
// claim if one can be made.
func (f *file) openCached() uint32 {
	cache := &f.node.cache
	if c := cache.claim.Load(); c != nil && c.made.Load() && f.looksLike(c.state) {
		return fuse.FOPEN_KEEP_CACHE
	}
	f.claim = nil
	if state, ok := f.vouch(); ok {
		f.claim = &claim{state: state}
	}
	cache.claim.Store(f.claim)
	return 0
}

// vouch returns how the file looks now, if every later change will show.
func (f *file) vouch() (state fileState, ok bool) {
	if f.writable || !keepsTimes(f.fd) {
		return state, false
	}
	ok = withoutWriters(f.fd, func() bool {
		now := time.Now()
		s, err := statAt(f.fd, "")
		state = stateOf(&s.attr)
		return err == nil && state.ctime.settled(now)
	})
	return state, ok
}

// opened notes that the client's open(2) has returned: f was used.
func (f *file) opened() {
	if f.claim != nil {
		f.claim.made.Store(true)
	}
}

// wasRead looks at the file after a read, which may have given the kernel a page.
func (f *file) wasRead() {
	f.opened()
	claimed := &f.node.cache.claim
	if c := claimed.Load(); c != nil && !f.looksLike(c.state) {
		claimed.CompareAndSwap(c, nil)
	}
}

// looksLike tells whether the backing file is known to be in a state.
func (f *file) looksLike(state fileState) bool {
	s, err := statAt(f.fd, "")
	return err == nil && state == stateOf(&s.attr)
}
