package fs

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// rootInode is the inode number of the mount's top directory.
const rootInode = 1

// A mirror is what all nodes of a mount share.
type mirror struct {
	source  Source
	options Options
	log     *slog.Logger
	tree    *tree
	headers headers
	root    *node
	inodes  *inodes
	raw     *raw
	kernel  kernel   // set before the first request comes
	files   sync.Map // every open *file
	orphans orphans
	panics  sync.Map // each callStack that a handler has panicked with
	limit   descriptorLimit
	twins   twins
	news    news
	native  nativeIO
	since   time.Time
}

func newMirror(source Source, options Options) *mirror {
	m := &mirror{
		source:  source,
		options: options,
		log:     options.Logger,
		tree:    newTree(options.GuestSerial),
		headers: headers{byFile: map[fileKey]*header{}},
		orphans: orphans{nodes: map[*node]bool{}},
		twins:   twins{told: map[[3]string]bool{}},
		since:   time.Now(),
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.native.programs = options.NativeIO
	m.news = news{each: m.announce, places: map[string]bool{}}
	m.root = &node{mirror: m, isPlace: true}
	m.inodes = newInodes(m.root)
	m.raw = newRaw(m)
	return m
}

// fill takes in what volumes there are.
func (m *mirror) fill() {
	for _, place := range m.tree.replace(m.source.Volumes()) {
		m.warnOfTwin(place)
	}
}

// sync asks the source about a place, brings the tree up to date there, and
// tells whether a volume is at the place or below it.
func (m *mirror) sync(place string) bool {
	var changed bool
	if v, ok := m.source.Volume(place); ok {
		changed = m.tree.put(v)
	} else if m.tree.volume(place) != nil {
		changed = m.tree.drop(place)
	}
	if changed {
		m.news.tell(place)
	}
	if !m.tree.exists(place) && m.source.Leads(place) {
		m.refresh()
	}
	return m.tree.exists(place)
}

// refresh brings the whole tree up to date.
func (m *mirror) refresh() {
	m.news.tell(m.tree.refresh(m.source.Volumes)...)
}

// unused is called when the last file of a volume is closed.
func (m *mirror) unused(v *volume) {
	if v.outdated.Load() {
		m.sync(v.Name)
	}
}

// discard closes what is left when the mount has ended: the kernel does not tell
// then of the last files that were closed, nor of what it forgets.
func (m *mirror) discard() {
	m.files.Range(func(f, _ any) bool {
		_ = f.(*file).close() // nobody is there to be told of an error
		return true
	})
	m.orphans.discard()
}

// watch follows the source until ctx is done.
func (m *mirror) watch(ctx context.Context) {
	if err := m.source.Watch(ctx, m.refresh); err != nil {
		m.log.Error("volumes that come and go are seen when they are looked up only", "error", err)
	}
}

// emptyDirectory is what a place without a volume looks like.
func (m *mirror) emptyDirectory() status {
	seconds, nanoseconds := uint64(m.since.Unix()), uint32(m.since.Nanosecond())
	return status{attr: fuse.Attr{
		Mode: unix.S_IFDIR | 0o555, Nlink: 2, Blksize: 4096,
		Owner: fuse.Owner{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())},
		Atime: seconds, Mtime: seconds, Ctime: seconds,
		Atimensec: nanoseconds, Mtimensec: nanoseconds, Ctimensec: nanoseconds,
	}}
}
