package fs

import "context"

// A Volume is one tree beneath the mount point with one identity: a ZFS file
// system, a ZFS snapshot, or a directory.
type Volume struct {
	// Name is the volume's place beneath the mount point: components
	// separated by slashes, "" for the volume whose files are at the top.
	Name string

	// Dir is the absolute path of the volume's root directory on the host.
	Dir string

	// Automount, where it is not "", is a directory beneath Dir that is the
	// volume's root instead. The kernel mounts the volume there when it is
	// used, as another device each time, and unmounts it by itself when it
	// is not. Such a volume must be ReadOnly, and never change.
	Automount string

	// Identity is the text that the volume's mask is made from; see
	// vdi.NewMask. vdi.Original presents the stored UUIDs.
	Identity string

	// ReadOnly refuses every change with EROFS.
	ReadOnly bool

	// Device is the st_dev that Dir must have for it to be this volume's
	// root; 0 where that is not known. It keeps a volume whose file system
	// is not mounted from being mistaken for the directory it is mounted on.
	Device uint64

	// Instance tells apart volumes that have all else in common: one that was
	// destroyed, and the one that was made anew in its place. 0 where the
	// source cannot tell.
	Instance uint64
}

// A Source knows which volumes there are. Its methods are called from the
// handlers of file system requests and from several goroutines at once: they
// answer from what the source knows, and never wait for another process
// without a bound.
type Source interface {
	// Volumes returns every volume that there is now, in any order.
	Volumes() []Volume

	// Volume returns the volume of this name as it is now, and whether
	// there is one. It is asked at every lookup, so that a volume is seen
	// the moment it exists.
	Volume(name string) (Volume, bool)

	// Leads tells whether there are volumes below the place: whether it is
	// the beginning of a volume's name. It is asked of what is no volume.
	Leads(place string) bool

	// Hides tells whether a name at the top is the source's own business, to
	// be kept from clients.
	Hides(name string) bool

	// Watch calls changed whenever the set of volumes, or one of them, may
	// have changed. It returns when ctx is done, with nil, or when it
	// cannot watch, with the reason.
	Watch(ctx context.Context, changed func()) error
}

// A Crosser is a Source that knows where in its volumes other file systems are
// mounted. These are not part of the volume and cannot be looked up: with the
// volume's Device, a lookup sees that by itself, and a listing, which does not look
// at what it lists, asks the source.
type Crosser interface {
	// Crossings returns the names in a directory of a volume, relative to its
	// root, that lead to another file system; to such names it gives true.
	Crossings(volume Volume, dir string) map[string]bool
}
