package fs

import (
	"crypto/sha256"
	"encoding/binary"
	"path"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// A volume is a Volume that is being served. What it was made from never
// changes, but for ReadOnly: when the source says something else of a place, that
// is another volume, with nodes and pages of its own.
type volume struct {
	Volume
	mask vdi.Mask

	// salt spreads the volume's inode numbers: clones of one snapshot have
	// the same ones. It is made from the identity, so that numbers survive
	// a remount, where the device number does or is known to be the volume's.
	salt uint64

	// instance tells this volume from every other that this mount has ever
	// served. Device numbers, inode numbers and even birth times come again
	// in a clone that is destroyed and made anew.
	instance uint64

	// readOnly is Volume.ReadOnly as it is now: it changes under open files.
	readOnly atomic.Bool

	// open counts the files that are open.
	open atomic.Int64

	// gone is set when the volume is served no more. What is at its place
	// then may look just like it: the same path, device and inode numbers.
	gone atomic.Bool

	// outdated is set when the source has given the volume another identity
	// that waits for the last file to be closed.
	outdated atomic.Bool

	// entered is the status of an automounted volume's root, without its id,
	// since somebody has used the volume.
	entered atomic.Pointer[status]
}

func newVolume(v Volume, serial vdi.GuestSerial, instance uint64) *volume {
	vol := &volume{
		Volume:   v,
		mask:     vdi.NewMask(v.Identity, serial),
		salt:     hash("inode", v.Identity),
		instance: instance,
	}
	vol.readOnly.Store(v.ReadOnly)
	return vol
}

// openRoot opens the root directory, only to resolve names below it (O_PATH).
// It returns ESTALE when what lies there is not the volume any more.
func (v *volume) openRoot() (int, error) {
	if v.gone.Load() {
		return -1, syscall.ESTALE
	}
	fd, err := retry2(func() (int, error) {
		return unix.Open(v.Dir, openPath|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return -1, staleIfMissing(err)
	}
	if v.Device != 0 {
		if err := checkInode(fd, func(id fileID) bool { return id.dev == v.Device }); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	if v.Automount == "" {
		return fd, nil
	}
	defer unix.Close(fd)
	return v.enter(fd)
}

// status says what the root directory looks like, with the errors of openRoot.
func (v *volume) status() (status, error) {
	if v.Automount != "" {
		return v.enteredStatus()
	}
	if v.gone.Load() {
		return status{}, syscall.ESTALE
	}
	s, err := statAt(unix.AT_FDCWD, v.Dir)
	switch {
	case err != nil:
		return status{}, staleIfMissing(err)
	case s.attr.Mode&unix.S_IFMT != unix.S_IFDIR, v.Device != 0 && s.id.dev != v.Device:
		return status{}, syscall.ESTALE
	}
	return s, nil
}

// openBeneath opens a path beneath the volume's root, "" for the root itself, only
// to name it (O_PATH).
func (v *volume) openBeneath(path string) (int, error) {
	root, err := v.openRoot()
	if err != nil || path == "" {
		return root, err
	}
	defer unix.Close(root)
	return openBeneath(root, path, openPath)
}

// staleIfMissing says of a volume whose root is gone, or is no directory any
// more, what NFS says of a file that is gone: the kernel then looks its name up
// once more.
func staleIfMissing(err error) error {
	switch err {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
		return syscall.ESTALE
	}
	return err
}

// inode makes the number that the mount shows for a backing inode. On one device
// that is a permutation, so the numbers of a volume stay unique.
func (v *volume) inode(id fileID) uint64 {
	const spread = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio
	if id = v.identify(id); id.dev == v.Device {
		id.dev = 0
	}
	return plausible(id.ino ^ v.salt ^ id.dev*spread)
}

// plausible clears the top bit, which some programs take for a sign, and keeps
// clear of the root's number and of 0, which readdir uses for a free entry.
func plausible(inode uint64) uint64 {
	inode &^= 1 << 63
	if inode <= rootInode {
		inode += 1 << 62
	}
	return inode
}

// hash is 64 bits of SHA-256, for numbers that must be the same after a remount.
func hash(kind, text string) uint64 {
	sum := sha256.Sum256([]byte(kind + "\x00" + text))
	return binary.LittleEndian.Uint64(sum[:])
}

// join makes the name of a volume out of the place of its parent.
func join(place, name string) string { return path.Join(place, name) }
