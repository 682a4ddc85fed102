package mounts

import (
	"os"

	"golang.org/x/sys/unix"
)

// cloneFSType is what mount_fusefs(8) makes of the subtype clonefs.
const cloneFSType = "fusefs.clonefs"

// Read returns the mounts that this process sees.
func Read() (Table, error) {
	for size := 64; ; size *= 2 {
		buffer := make([]unix.Statfs_t, size)
		n, err := unix.Getfsstat(buffer, unix.MNT_NOWAIT)
		if err != nil {
			return nil, os.NewSyscallError("getfsstat", err)
		}
		if n < size {
			return tableOf(buffer[:n]), nil
		}
	}
}

func tableOf(statistics []unix.Statfs_t) Table {
	var table Table
	for _, s := range statistics {
		table = append(table, Mount{
			Dir:    unix.ByteSliceToString(s.Mntonname[:]),
			Type:   unix.ByteSliceToString(s.Fstypename[:]),
			Source: unix.ByteSliceToString(s.Mntfromname[:]),
		})
	}
	return table
}

// Unmount takes away the topmost mount on dir. The error is unix.EBUSY where a
// file or a working directory on it is in use. FreeBSD cannot detach a mount
// from its directory and leave open files working: lazy forces the unmount, and
// open files fail from then on.
func Unmount(dir string, lazy bool) error {
	flags := 0
	if lazy {
		flags = unix.MNT_FORCE
	}
	if err := unix.Unmount(dir, flags); err != nil {
		return &os.PathError{Op: "unmount", Path: dir, Err: err}
	}
	return nil
}

// DetachDead takes away a mount whose daemon is gone.
func DetachDead(m Mount) error { return Unmount(m.Dir, true) }
