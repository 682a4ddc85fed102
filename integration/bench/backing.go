//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Names of backings, which are headings of the document too.
const (
	tmpfs    = "tmpfs"
	disk     = "disk"
	reflinks = "btrfs"
)

// A backing is a file system with the images to measure on.
type backing struct {
	name string
	dir  string
	free int64 // how much free memory, in bytes, a row may use
	undo []func() error
}

func (b *backing) source() string { return filepath.Join(b.dir, "source") }
func (b *backing) many() string   { return filepath.Join(b.dir, "many") }

// forget makes the kernel forget what it has cached: of mounts all, of the files
// themselves what lies on a disk. A tmpfs has no other place for its own.
func (b *backing) forget() error {
	if err := b.sync(); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		return fmt.Errorf("drop the caches: %w", err)
	}
	return b.fetchMemory()
}

// fetchMemory uses the free memory once. A virtual machine's host takes free memory
// away (free page reporting of virtio_balloon), and who first uses it again waits for
// the host: that would be measured in place of the mirror, and who comes after one that
// has just given much back would not wait.
func (b *backing) fetchMemory() error {
	memory, err := unix.Mmap(-1, 0, int(b.free), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("use %d bytes of memory: %w", b.free, err)
	}
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE) // that is quicker, where it can be had
	err = unix.Madvise(memory, unix.MADV_POPULATE_WRITE)
	return errors.Join(err, unix.Munmap(memory))
}

// sync has what the last subject left in memory written now, and not while the
// next one is measured.
func (b *backing) sync() error {
	dir, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("syncfs %s: %w", b.dir, err)
	}
	return nil
}

// end takes away what was made, the last first.
func (b *backing) end() error {
	var errs []error
	for i := len(b.undo) - 1; i >= 0; i-- {
		errs = append(errs, b.undo[i]())
	}
	b.undo = nil
	return errors.Join(errs...)
}

// newBacking makes the named one, in a directory of this run's. Also where it
// fails, end is to be called.
func newBacking(ctx context.Context, name, dir string, opts options) (*backing, error) {
	b := &backing{name: name, dir: filepath.Join(dir, name), free: opts.size + opts.size/2}
	var err error
	switch name {
	case tmpfs:
		err = b.mountTmpfs(opts.room())
	case reflinks:
		err = b.onBtrfs(ctx, opts)
	case disk:
		err = b.onDisk(opts)
	}
	if err != nil {
		return b, err
	}
	return b, b.fill(ctx, opts)
}

func (b *backing) mountTmpfs(size uint64) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("clonefs-bench", b.dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", size)); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", b.dir, err)
	}
	dir := b.dir
	b.undo = append(b.undo, func() error { return unmount(dir) })
	return nil
}

// onBtrfs makes a Btrfs in a file on a tmpfs: memory again, but with reflinks.
func (b *backing) onBtrfs(ctx context.Context, opts options) error {
	if err := b.mountTmpfs(opts.room() + 512*mib); err != nil {
		return err
	}
	device := filepath.Join(b.dir, "device")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(device, int64(opts.room()+448*mib)); err != nil {
		return err
	}
	if _, err := command(ctx, "mkfs.btrfs", "--quiet", device); err != nil {
		return err
	}
	b.dir = filepath.Join(b.dir, "fs")
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return err
	}
	if _, err := command(ctx, "mount", "-o", "loop", device, b.dir); err != nil {
		return err
	}
	dir := b.dir
	b.undo = append(b.undo, func() error { return unmount(dir) })
	return nil
}

func (b *backing) onDisk(opts options) error {
	if err := os.MkdirAll(opts.disk, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(opts.disk, "images-")
	if err != nil {
		return err
	}
	b.dir = dir
	b.undo = append(b.undo, func() error { return os.RemoveAll(dir) })
	return nil
}
