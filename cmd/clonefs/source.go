package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/dir"
	"github.com/clonefs/clonefs/fs"
)

// The two kinds of source, as they are written before the colon.
const (
	directoryKind = "dir"
	datasetKind   = "zfs"
)

// A sourceName says where volumes come from.
type sourceName struct {
	kind string
	// name is the path of a directory or the name of a dataset.
	name string
}

// parseSource reads a SOURCE of the command line: dir:PATH, zfs:DATASET, or
// either without its prefix; then what begins with a slash or a dot is a path.
func parseSource(text string) (sourceName, error) {
	kind, name, hasPrefix := strings.Cut(text, ":")
	if !hasPrefix || kind != directoryKind && kind != datasetKind {
		kind, name = datasetKind, text
		if strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") {
			kind = directoryKind
		}
	}
	if name == "" {
		return sourceName{}, fmt.Errorf("source %q names nothing; write dir:PATH or zfs:DATASET", text)
	}
	return sourceName{kind, name}, nil
}

// String returns the name with its prefix: "zfs:tank/ci".
func (n sourceName) String() string { return n.kind + ":" + n.name }

var errNoSnapshots = errors.New("--snapshots is for sources that are datasets of ZFS: directories have no snapshots")

// openSource opens the source of this name, with snapshots as volumes too if it is
// a dataset. It returns the name too, with the path of a directory made absolute
// and free of symbolic links.
func openSource(name sourceName, snapshots bool, logger *slog.Logger) (fs.Source, sourceName, error) {
	if name.kind == directoryKind {
		return openDirectory(name.name, logger)
	}
	source, err := openDatasets(name.name, snapshots, logger)
	if err != nil {
		return nil, name, errors.Join(err, directoryHint(name.name))
	}
	return source, name, nil
}

func openDirectory(path string, logger *slog.Logger) (fs.Source, sourceName, error) {
	name := sourceName{directoryKind, path}
	source, err := dir.New(path, logger)
	if err != nil {
		return nil, name, err
	}
	name.name = source.Path()
	if err := unix.Access(name.name, unix.R_OK|unix.X_OK); err != nil {
		return nil, name, fmt.Errorf("source directory %s cannot be read by this user (its mode is in `ls -ld %s`): %w", name.name, name.name, err)
	}
	return source, name, nil
}

// directoryHint tells who named a directory and forgot the "./" about it.
func directoryHint(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fmt.Errorf("there is a directory of that name: for its clones write dir:%s", name)
	}
	return nil
}

// closeSource ends the use of a source that was not watched.
func closeSource(source fs.Source) {
	if closer, ok := source.(io.Closer); ok {
		_ = closer.Close() // nothing was written
	}
}

// sourceDirs returns the directories that a source serves from: the roots of
// all its volumes.
func sourceDirs(source fs.Source) []string {
	var dirs []string
	for _, volume := range source.Volumes() {
		if volume.Automount == "" { // or else it is within another
			dirs = append(dirs, volume.Dir)
		}
	}
	return dirs
}
