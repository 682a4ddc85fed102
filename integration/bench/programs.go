//go:build linux

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// programRows are the rows that other programs measure, or this one.
func programRows(volumes int) []row {
	of := " of " + grouped(strconv.Itoa(volumes)) + " volumes"
	brief := 300 * time.Millisecond
	return []row{
		{
			figures: []figure{{title: "header of one image: open, read 512, close", unit: opens}},
			by:      readers, on: []string{tmpfs}, takes: time.Second, measure: rereadHeader,
		},
		{
			figures: []figure{{title: "headers" + of, unit: seconds}},
			by:      mirrors, on: []string{tmpfs}, takes: time.Second, measure: inMany(readHeaders),
		},
		{
			figures: []figure{{title: "stat" + of, unit: seconds}},
			by:      mirrors, on: []string{tmpfs}, takes: brief, measure: inMany(statVolumes),
		},
		{
			figures: []figure{{title: "ls -l" + of, unit: seconds}},
			by:      mirrors, on: []string{tmpfs}, takes: brief,
			measure: inMany(func(ctx context.Context, dir string) error {
				_, err := command(ctx, "ls", "-l", dir)
				return err
			}),
		},
		copyRow("cp of an image in", (*copying).in, mirrors, tmpfs, reflinks),
		copyRow("cp of an image out", (*copying).out, readers, tmpfs, reflinks),
		copyRow("cp of an image inside", (*copying).inside, mirrors, reflinks),
		// Not of xmount: qemu-img refuses images whose blocks lie as they do in its.
		copyRow("qemu-img convert of an image to raw", (*copying).convert, mirrors, tmpfs, disk),
	}
}

// inMany measures how long something takes in the directory of many volumes. The
// kernel remembers none of their names: how long it may is up to each mirror, and
// would be measured instead.
func inMany(do func(ctx context.Context, dir string) error) func(context.Context, place) ([]float64, error) {
	return func(ctx context.Context, at place) ([]float64, error) {
		dir, err := at.many(ctx)
		if err != nil {
			return nil, err
		}
		if err := at.backing.forget(); err != nil {
			return nil, err
		}
		took, err := timed(func() error { return do(ctx, dir) })
		return []float64{took.Seconds()}, err
	}
}

func timed(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start), err
}

// rereadHeader does for a second what VirtualBox does first to an image.
func rereadHeader(ctx context.Context, at place) ([]float64, error) {
	file, err := at.path(ctx, imagePath)
	if err != nil {
		return nil, err
	}
	start, count := time.Now(), 0
	for time.Since(start) < time.Second {
		if err := readHeader(file); err != nil {
			return nil, err
		}
		count++
	}
	return []float64{float64(count) / time.Since(start).Seconds()}, nil
}

func readHeader(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.ReadFull(file, make([]byte, 512))
	return err
}

func readHeaders(ctx context.Context, dir string) error {
	return eachVolume(ctx, dir, func(volume string) error { return readHeader(filepath.Join(volume, smallImage)) })
}

func statVolumes(ctx context.Context, dir string) error {
	return eachVolume(ctx, dir, func(volume string) error {
		_, err := os.Lstat(volume)
		return err
	})
}

func eachVolume(ctx context.Context, dir string, do func(path string) error) error {
	listing, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer listing.Close()
	// The names only: os.ReadDir sorts, and more may cost a stat each.
	names, err := listing.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := do(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// copying is what a row needs that moves the half-sized image.
type copying struct {
	half    string // the image as the subject has it
	given   string // the stored one
	copied  string // a new name on the mount
	outside string // and one beside it
}

func (c *copying) in() []string     { return []string{"cp", "--reflink=auto", c.given, c.copied} }
func (c *copying) out() []string    { return []string{"cp", "--reflink=auto", c.half, c.outside} }
func (c *copying) inside() []string { return []string{"cp", "--reflink=auto", c.half, c.copied} }
func (c *copying) convert() []string {
	return []string{"qemu-img", "convert", "-f", "vdi", "-O", "raw", c.half, c.outside}
}

// copyRow measures a program that reads all of an image, with nothing of it in
// the mount's page cache.
func copyRow(title string, argv func(*copying) []string, by takers, on ...string) row {
	return row{
		figures: []figure{{title: title, unit: mibs}},
		by:      by, on: on, takes: 2 * time.Second,
		measure: func(ctx context.Context, at place) ([]float64, error) {
			c, err := newCopying(ctx, at)
			if err != nil {
				return nil, err
			}
			defer os.Remove(c.outside)
			defer os.Remove(filepath.Join(at.backing.source(), copyPath))
			if err := at.backing.forget(); err != nil {
				return nil, err
			}
			took, err := timed(func() error {
				_, err := command(ctx, argv(c)...)
				return err
			})
			return []float64{float64(at.size/2/mib) / took.Seconds()}, err
		},
	}
}

func newCopying(ctx context.Context, at place) (*copying, error) {
	c := &copying{
		given:   filepath.Join(at.backing.source(), halfPath),
		outside: filepath.Join(at.backing.dir, "copy"),
	}
	var err error
	if c.half, err = at.path(ctx, halfPath); err != nil || at.subject.oneFile {
		return c, err
	}
	c.copied, err = at.path(ctx, copyPath)
	return c, err
}
