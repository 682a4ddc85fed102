package fs

import (
	"log/slog"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Root returns the absolute path of the volume's root directory on the host.
func (v Volume) Root() string { return filepath.Join(v.Dir, v.Automount) }

var errNotAutomounted = &refusal{syscall.EIO, slog.LevelWarn, "the kernel has not mounted the volume where the daemon sees it: " +
	"there is no mount program, or the daemon runs in a mount namespace of its own"}

// enter opens the root of an automounted volume, and with that makes the kernel
// mount it; top is a descriptor of what it is mounted in. The descriptor that is
// returned keeps it mounted.
func (v *volume) enter(top int) (int, error) {
	above, err := statAt(top, "")
	if err != nil {
		return -1, err
	}
	fd, err := openBeneath(top, v.Automount, openPath|unix.O_DIRECTORY)
	if err != nil {
		return -1, staleIfMissing(err)
	}
	s, err := statAt(fd, "")
	if err == nil && s.id.dev == above.id.dev {
		err = errNotAutomounted
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	s.id = fileID{}
	v.entered.Store(&s)
	return fd, nil
}

// enteredStatus is the status of the root, which does not change, once it is mounted.
func (v *volume) enteredStatus() (status, error) {
	root, err := v.openRoot()
	if err != nil {
		return status{}, err
	}
	unix.Close(root)
	return *v.entered.Load(), nil
}

// identify makes of a backing inode's identification one that stays while the
// volume lives: an automounted one gets another device number each time.
func (v *volume) identify(id fileID) fileID {
	if v.Automount != "" {
		id.dev = 0
	}
	return id
}

// holds tells whether what has this device number is the volume's own, and not
// another file system that is mounted in it.
func (v *volume) holds(device uint64) bool {
	return v.Device == 0 || v.Automount != "" || device == v.Device
}

// unentered tells whether it would take a mount to know more of the volume's root.
// Once known, its status stays: an automounted volume is read-only.
func (v *volume) unentered() bool { return v.Automount != "" && v.entered.Load() == nil }

// glance is rootStatus as far as a lookup or a listing of what is above needs it.
// It mounts nothing, so that "ls -l" does not mount a thousand snapshots to show
// them: a root that nobody has entered yet is a directory without permissions.
// That lets root in. When it refuses another client, the kernel asks for the
// attributes once more before it says so (fuse_permission of fs/fuse/dir.c), and
// gets the real ones then. FreeBSD's does not ask.
func (n *node) glance() (status, error) {
	if vol := n.volume(); vol != nil && vol.unentered() && asksBeforeRefusal {
		s := n.mirror.emptyDirectory()
		s.attr.Mode = unix.S_IFDIR
		return s, nil
	}
	return n.rootStatus()
}
