//go:build linux

package virtualbox_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/clonefs/clonefs/integration/openzfs/guest"
	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// What the guest has beside what every guest has.
const (
	guestChroot = "/virtualbox"      // a disk with VirtualBox's Debian root
	guestDriver = "/srv/vboxdrv.ko"  // its kernel module
	guestBoot   = "/srv/bootsectors" // the first sectors of the guest of package vbox
)

// guestOptions makes, in this directory or in the cache, what the guest gets.
func guestOptions(dir string) (guest.Options, error) {
	ctx := context.Background()
	if err := vbox.InstallTools(); err != nil {
		return guest.Options{}, err
	}
	root, err := vbox.Chroot()
	if err != nil {
		return guest.Options{}, err
	}
	image, err := diskImage(ctx, root)
	if err != nil {
		return guest.Options{}, err
	}
	driver, err := buildDriver(ctx, root)
	if err != nil {
		return guest.Options{}, err
	}
	boot := filepath.Join(dir, "bootsectors")
	return guest.Options{
		Disks: []guest.Disk{{Image: image, Place: guestChroot}},
		Files: []guest.File{{From: driver, To: guestDriver}, {From: boot, To: guestBoot}},
		// While a VM has a processor, nothing else does.
		Processors: 2,
	}, vbox.WriteGuestDisk(boot, bootSize)
}

// buildDriver compiles the kernel module of the VirtualBox in this root for the
// guest's kernel.
func buildDriver(ctx context.Context, root string) (string, error) {
	sources, err := filepath.Glob(filepath.Join(root, "usr/src/virtualbox-*"))
	if err != nil {
		return "", err
	}
	if len(sources) != 1 {
		return "", fmt.Errorf("the source of VirtualBox's kernel module is not in %s/usr/src", root)
	}
	return guest.BuildModule(ctx, sources[0], "vboxdrv")
}

// diskImage returns an image of an ext4 file system with the content of this root,
// which it makes beside it where there is none yet. Setup.sh removes both when they
// were not used for a month.
func diskImage(ctx context.Context, root string) (string, error) {
	const size = "2G" // sparse
	options := []string{"-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E", "nodiscard", "-d", root}
	key := sha256.Sum256([]byte(strings.Join(options, " ") + size))
	image := fmt.Sprintf("%s-%x.ext4", root, key[:6])
	if now := time.Now(); os.Chtimes(image, now, now) == nil {
		return image, nil
	}
	fmt.Fprintln(os.Stderr, "making a disk with VirtualBox for the guest")
	dir, err := os.MkdirTemp(filepath.Dir(root), "virtualbox-disk-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	building := filepath.Join(dir, "image")
	if out, err := exec.CommandContext(ctx, "mke2fs", append(options, building, size)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("making a disk with the content of %s: %w: %s", root, err, out)
	}
	return image, os.Rename(building, image)
}

// virtualBox is the VirtualBox on the guest's disk, with its kernel module.
var virtualBox = sync.OnceValues(func() (vbox.Installation, error) {
	if out, err := exec.Command("insmod", guestDriver).CombinedOutput(); err != nil {
		return vbox.Installation{}, fmt.Errorf("insmod %s: %w: %s", guestDriver, err, out)
	}
	return vbox.InRoot(guestChroot)
})

// bootSize is that of the guest of package vbox: its code and its record, in bytes.
const bootSize = (vbox.RecordSector + 1) * 512
