package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/clonefs/clonefs/dir"
	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/zfs"
)

// manageConfig says whether clients may make, destroy and rename volumes, and who.
type manageConfig struct {
	enabled  bool
	template string
	copy     bool
	owner    ownerFlag
	mode     modeFlag
}

func (c *manageConfig) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&c.enabled, "manage", false, "let clients make volumes with mkdir, destroy them with rmdir, and rename\nthem with mv, at the top")
	flags.StringVar(&c.template, "template", "", "with --manage: what volumes are made from, a `snapshot` of ZFS or a directory")
	flags.BoolVar(&c.copy, "copy", false, "with --manage, of directories: copy what cannot share its blocks")
	flags.Var(&c.owner, "top-owner", "show this owner of the top directory; names or numbers, one may be missing")
	flags.Var(&c.mode, "top-mode", "show this `mode` of the top directory, octal: 0775")
}

// complete finds out what is wrong with the flags, for a source of this kind.
func (c *manageConfig) complete(kind string, readOnly bool) error {
	switch {
	case c.enabled && c.template == "":
		return errors.New("--manage needs to know what volumes are made from: --template=SNAPSHOT, or of a directory source --template=DIRECTORY")
	case c.template != "" && !c.enabled:
		return errors.New("--template says what --manage makes volumes from: add --manage, or leave out both")
	case c.copy && !c.enabled:
		return errors.New("--copy says how --manage makes volumes: add --manage, or leave out both")
	case c.enabled && readOnly:
		return errors.New("--manage changes volumes and --read-only refuses every change: leave out one of them")
	case c.copy && kind == datasetKind:
		return errors.New("--copy is for directories: clones of snapshots never are copies")
	case !c.enabled:
		return nil
	}
	return c.completeTemplate(kind)
}

// completeTemplate takes the prefix from the template, and makes a path absolute. What
// has no slash is a volume of a directory source.
func (c *manageConfig) completeTemplate(kind string) (err error) {
	written := c.template
	if prefix, name, ok := strings.Cut(written, ":"); ok && (prefix == directoryKind || prefix == datasetKind) {
		if prefix != kind {
			return fmt.Errorf("--template=%s cannot be cloned in a source of the kind %s: datasets are made of snapshots, directories of directories", written, kind)
		}
		c.template = name
	}
	if kind == datasetKind {
		if err := zfs.CheckSnapshotName(c.template); err != nil {
			return fmt.Errorf("--template: %w", err)
		}
		return nil
	}
	if strings.Contains(c.template, "/") || strings.HasPrefix(c.template, ".") {
		c.template, err = filepath.Abs(c.template)
	}
	return err
}

// manager returns who makes and destroys the volumes of a source, nil if that is
// not to be done.
func (c *manageConfig) manager(source fs.Source, name sourceName) (fs.Manager, error) {
	if !c.enabled {
		return nil, nil
	}
	switch s := source.(type) {
	case *dir.Source:
		return dir.NewManager(s, c.template, dir.CloneOptions{Copy: c.copy})
	case datasets:
		return newDatasetManager(context.Background(), s, name.name, c.template)
	}
	return nil, fmt.Errorf("volumes of %s cannot be managed", name)
}

// top returns what the top directory is to look like where its volume's own root
// does not say it. Without such a volume, and with a manager, it is the daemon's
// owner's to write to.
func (c *manageConfig) top(source fs.Source) (*fs.Ownership, error) {
	volume, isVolume := source.Volume("")
	if c.owner.text == "" && c.mode.text == "" && (isVolume || !c.enabled) {
		return nil, nil
	}
	top := fs.Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: 0o755}
	if isVolume {
		var err error
		if top, err = ownershipOf(volume.Dir); err != nil {
			return nil, err
		}
	}
	c.owner.apply(&top)
	c.mode.apply(&top)
	return &top, nil
}
