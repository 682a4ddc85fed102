//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Files below the source of a backing, and in each of the many volumes.
const (
	imagePath  = "volume/image.vdi"
	halfPath   = "volume/half.vdi"
	copyPath   = "volume/copy.vdi"
	smallImage = "disk.vdi"
)

// fill makes what the rows on this backing need.
func (b *backing) fill(ctx context.Context, opts options) error {
	if err := os.MkdirAll(filepath.Join(b.source(), "volume"), 0o755); err != nil {
		return err
	}
	if err := makeImage(ctx, filepath.Join(b.source(), halfPath), opts.size/2); err != nil {
		return err
	}
	if b.name == reflinks {
		return nil
	}
	if err := makeImage(ctx, filepath.Join(b.source(), imagePath), opts.size); err != nil {
		return err
	}
	if b.name == disk {
		return nil
	}
	return makeVolumes(ctx, b.many(), opts.volumes)
}

// makeImage makes a fixed VDI of that size with random content: no file system
// can store it smaller, and every block exists.
func makeImage(ctx context.Context, path string, size int64) error {
	if _, err := command(ctx, "qemu-img", "create", "-q", "-f", "vdi", "-o", "static=on", path, fmt.Sprint(size)); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	length, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	// Behind the header and the map of blocks, which is 4 bytes for each MiB, and with
	// no hole: cp would look for others then, and not let the file system share blocks.
	start := (512 + 4*(size/mib) + 4095) &^ 4095
	if _, err := file.Seek(start, io.SeekStart); err != nil {
		return err
	}
	if err := writeRandom(ctx, file, length-start); err != nil {
		return err
	}
	return file.Sync()
}

func writeRandom(ctx context.Context, file io.Writer, length int64) error {
	random := rand.NewChaCha8([32]byte{})
	buf := make([]byte, mib)
	for length > 0 && ctx.Err() == nil {
		part := buf[:min(length, mib)]
		_, _ = random.Read(part) // never fails
		if _, err := file.Write(part); err != nil {
			return err
		}
		length -= int64(len(part))
	}
	return ctx.Err()
}

// makeVolumes makes directories with one small image each.
func makeVolumes(ctx context.Context, dir string, count int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	model := dir + "." + smallImage
	if _, err := command(ctx, "qemu-img", "create", "-q", "-f", "vdi", model, "1M"); err != nil {
		return err
	}
	content, err := os.ReadFile(model)
	if err != nil {
		return err
	}
	for i := range count {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := makeVolume(filepath.Join(dir, fmt.Sprintf("job-%05d", i)), content); err != nil {
			return err
		}
	}
	return nil
}

func makeVolume(dir string, content []byte) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, smallImage), content, 0o644)
}
