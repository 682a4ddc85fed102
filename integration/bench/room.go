//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// checkRoom says before the first measurement what would end the last one.
func checkRoom(plans []plan, opts options) error {
	checks := map[string]func(options) error{tmpfs: checkMemory, reflinks: checkBtrfs, disk: checkDisk}
	for _, p := range plans {
		if err := checks[p.name](opts); err != nil {
			return err
		}
	}
	return nil
}

// room is what the images and one more copy of the half one take.
func (o *options) room() uint64 { return uint64(o.size*2 + 64*mib + int64(o.volumes)*16<<10) }

// checkMemory wants the image once more for each mount, since that is what warm
// rows cache.
func checkMemory(opts options) error {
	available, err := memoryLine("MemAvailable:")
	if err != nil {
		return err
	}
	need := opts.room() + uint64(opts.size)*uint64(len(subjects)-1)
	if uint64(available) < need {
		return fmt.Errorf("this takes %d MiB of memory, and %d MiB are free: choose a smaller --size", need/mib, available/mib)
	}
	return nil
}

func checkBtrfs(options) error {
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		return fmt.Errorf("%w: install btrfs-progs, or choose rows without those on btrfs", err)
	}
	return nil
}

func checkDisk(opts options) error {
	if err := os.MkdirAll(opts.disk, 0o755); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(opts.disk, &st); err != nil {
		return fmt.Errorf("statfs %s: %w", opts.disk, err)
	}
	if st.Type == unix.TMPFS_MAGIC {
		return fmt.Errorf("%s is on a tmpfs, not on a disk: choose another --disk", opts.disk)
	}
	if free := st.Bavail * uint64(st.Bsize); free < opts.room() {
		return fmt.Errorf("%s needs %d MiB, and %d MiB are free: choose another --disk, or a smaller --size",
			opts.disk, opts.room()/mib, free/mib)
	}
	return nil
}
