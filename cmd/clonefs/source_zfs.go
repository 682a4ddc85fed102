package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/zfs"
)

var (
	_ fs.Source  = datasets{}
	_ fs.Crosser = datasets{}
)

// datasets makes a source of package zfs one of package fs: neither package
// knows the other.
type datasets struct{ *zfs.Source }

// openDatasets returns the source of the file systems at and below a dataset, and
// of their snapshots if they are wanted.
func openDatasets(dataset string, snapshots bool, logger *slog.Logger) (fs.Source, error) {
	command, err := zfs.FindCommand()
	if err != nil {
		return nil, fmt.Errorf("list dataset %s: %w", dataset, err)
	}
	open := zfs.NewSource
	if snapshots {
		open = zfs.NewSnapshotSource
	}
	source, err := open(context.Background(), dataset, command, logger)
	if err != nil {
		return nil, explainDataset(dataset, err)
	}
	return datasets{source}, nil
}

// explainDataset says what to do about a dataset that cannot be listed.
func explainDataset(dataset string, err error) error {
	switch {
	case errors.Is(err, zfs.ErrNotExist):
		return fmt.Errorf("there is no dataset %s: `zfs list` shows those that there are; a directory is written with a slash or as dir:PATH", dataset)
	case errors.Is(err, zfs.ErrNotMountable):
		return fmt.Errorf("%s is not a file system of ZFS: name the one that the clones lie below: %w", dataset, err)
	case errors.Is(err, zfs.ErrBadName):
		return fmt.Errorf("%q cannot be the name of a dataset: %w", dataset, err)
	case errors.Is(err, zfs.ErrPermission):
		return fmt.Errorf("list dataset %s: %w: ask the administrator for access to /dev/zfs, or use sudo", dataset, err)
	}
	return fmt.Errorf("list dataset %s: %w", dataset, err)
}

// Volumes implements fs.Source.
func (d datasets) Volumes() []fs.Volume {
	found := d.Source.Volumes()
	volumes := make([]fs.Volume, 0, len(found))
	for _, volume := range found {
		volumes = append(volumes, fs.Volume(volume))
	}
	return volumes
}

// Volume implements fs.Source.
func (d datasets) Volume(name string) (fs.Volume, bool) {
	volume, ok := d.Source.Volume(name)
	return fs.Volume(volume), ok
}

// Crossings implements fs.Crosser.
func (d datasets) Crossings(volume fs.Volume, dir string) map[string]bool {
	return d.Source.Crossings(zfs.Volume(volume), dir)
}

// Hides implements fs.Source: ZFS keeps nothing of its own among the files.
func (d datasets) Hides(string) bool { return false }

// emptyNotice tells who serves datasets of which none is mounted what is amiss. It
// is no error: clones may be on their way.
func emptyNotice(name sourceName, source fs.Source) string {
	if name.kind != datasetKind || len(source.Volumes()) > 0 {
		return ""
	}
	return fmt.Sprintf("no file system at or below %s is mounted, and there is nothing to show until one is: try `zfs mount %s`", name.name, name.name)
}
