package zfs

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// tableAge is how long a table that was read is taken for the present one. FreeBSD
// does not tell of mounts as Linux does.
const tableAge = 200 * time.Millisecond

// A kernelTable reads the kernel's table of mounts.
type kernelTable struct {
	told time.Time // when changed was last true
}

// openTable opens the kernel's table of mounts.
func openTable() (*kernelTable, error) { return &kernelTable{}, nil }

// reusesIDs is false: the number of a ZFS file system is made from one that it got
// at random when it was created.
func (t *kernelTable) reusesIDs() bool { return false }

// read reads the table. A file system's number stands for the mount's ID. Devices
// and parents are left unknown, so every mount is taken for reachable.
func (t *kernelTable) read() ([]mount, error) {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return nil, fmt.Errorf("reading the table of mounts: %w", err)
	}
	all := make([]unix.Statfs_t, n+16) // some more, for what is mounted meanwhile
	if n, err = unix.Getfsstat(all, unix.MNT_NOWAIT); err != nil {
		return nil, fmt.Errorf("reading the table of mounts: %w", err)
	}
	table := make([]mount, n)
	for i, entry := range all[:n] {
		table[i] = mount{
			id:       int(int64(entry.Fsid.Val[1])<<32 | int64(uint32(entry.Fsid.Val[0]))),
			root:     "/",
			point:    unix.ByteSliceToString(entry.Mntonname[:]),
			fsType:   unix.ByteSliceToString(entry.Fstypename[:]),
			source:   unix.ByteSliceToString(entry.Mntfromname[:]),
			readOnly: entry.Flags&unix.MNT_RDONLY != 0,
		}
	}
	return table, nil
}

// changed says whether the table that was read last may be old.
func (t *kernelTable) changed() bool {
	if time.Since(t.told) < tableAge {
		return false
	}
	t.told = time.Now()
	return true
}

// watch calls look again and again, with most between, until ctx is done.
func (t *kernelTable) watch(ctx context.Context, most time.Duration, look func()) error {
	ticker := time.NewTicker(most)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			look()
		}
	}
}

// close ends the use of the table.
func (t *kernelTable) close() error { return nil }
