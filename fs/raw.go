package fs

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A raw file system is what the kernel's requests are answered by. It finds the nodes
// and files that they name by numbers, lets these do what is asked for, and notes what
// the kernel will know because of the answer.
type raw struct {
	fuse.RawFileSystem // refuses what is not answered here
	mirror             *mirror
	names              nameLocks
	files              handles[file]
	directories        handles[directory]
	managed            bool // a rename at the top may be a volume's
}

func newRaw(m *mirror) *raw {
	return &raw{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		mirror:        m,
		names:         nameLocks{byDir: map[uint64]*nameLock{}},
		managed:       m.options.Manager != nil,
	}
}

// attributesAge is how long the kernel may rely on attributes. Names are looked up
// each time, so that what happens to volumes and files behind the mount is seen at
// once, and a lookup brings new attributes.
const attributesAge = time.Second

// placesAge is how long the kernel may rely on the name of a volume. "ls -l" comes to
// each name four times at once, and would make a lookup each time. What happens to a
// volume meanwhile is not overlooked: whatever is asked for by way of its directory is
// answered only if that is still the volume at its place, and ESTALE makes the kernel
// look the name up anew.
const placesAge = 10 * time.Millisecond

// staleNode answers a request that names a node which the kernel has forgotten.
const staleNode = fuse.Status(unix.ESTALE)

// contextOf is for what takes long, and ends when the client is interrupted.
func contextOf(in *fuse.InHeader, cancel <-chan struct{}) *fuse.Context {
	return &fuse.Context{Caller: in.Caller, Cancel: cancel}
}

// enter notes that the kernel will know found by name in dir, and answers so.
func (r *raw) enter(dir *node, name string, found *node, isNew bool, out *fuse.EntryOut) *node {
	entered := r.mirror.inodes.enter(dir, name, found, isNew)
	if name != "" {
		entered.named()
	}
	out.NodeId, out.Generation = entered.nodeID, 1
	out.SetAttrTimeout(attributesAge)
	return entered
}

// opened gives a file its handle, and answers so.
func (r *raw) opened(f *file, caller *fuse.Caller, flags uint32, out *fuse.OpenOut) {
	out.OpenFlags = f.openFlags(caller, int(flags))
	out.BackingID = f.backing
	f.node.files.add(f)
	out.Fh = r.files.add(f)
}

// masked takes the client's umask off a mode, unless the directory's default ACL
// decides instead, as in the kernel's posix_acl_create. The kernel leaves that to us
// (CAP_DONT_MASK).
func masked(dir int, mode, umask uint32) uint32 {
	if _, err := getxattr(dir, "system.posix_acl_default", nil); err == nil {
		return mode
	}
	return mode &^ umask
}
