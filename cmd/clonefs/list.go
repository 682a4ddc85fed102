package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

const listHelp = `List the images of a SOURCE, or of the clonefs mounted on MOUNTPOINT, each with
the UUID that is stored in it and the UUID that clonefs presents.

Of a mount, presented UUIDs are read through the mount; of a source they are
what a mount would present. No image is changed, and of each file only the first
512 bytes are read. Images that are presented with one and the same UUID are
marked: VirtualBox takes only one of them. Files that cannot be read are named
on standard error, and do not end the listing. If standard error is a terminal,
it shows meanwhile how many volumes have been looked at.

With --snapshots, what is in snapshots is listed too: the kernel mounts each of
them for some minutes.

With --json the output is one object, whose fields stay as they are; new ones
may be added:

  source      "zfs:tank/ci" or "dir:/srv/vm"
  mountpoint  where it is mounted; missing when a source was listed
  images      a list, sorted by volume and image, of objects with
    volume    name of the volume, "." for the source's own files
    identity  the text that the volume's presented UUIDs are derived from
    image     path of the image in its volume
    version   of the format, "1.1"
    type      "dynamic", "fixed", "undo", "differencing", or "unknown (N)"
    capacity  of the disk in bytes
    stored    UUID in the file
    presented UUID on the mount
    duplicate true when another image is presented with the same UUID
  errors      a list of messages, one for each thing that could not be read
`

const listExamples = `  clonefs ls tank/ci
  clonefs ls /mnt/vm
  clonefs ls --json /mnt/vm | jq -r '.images[] | select(.duplicate) | .image'`

func newListCommand() *cobra.Command {
	var asJSON bool
	var c listConfig
	command := &cobra.Command{
		Use:     "ls [flags] SOURCE|MOUNTPOINT",
		Short:   "List images with their stored and presented UUIDs",
		Long:    listHelp + "\n" + exitHelp,
		Example: listExamples,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			c.serialGiven = command.Flags().Changed("guest-serial")
			c.stderr = command.ErrOrStderr()
			list, err := c.list(args[0])
			if err != nil {
				return err
			}
			return printListing(command, list, asJSON)
		},
		ValidArgsFunction: completeMountpoints,
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print an object that programs can read")
	command.Flags().BoolVar(&c.snapshots, "snapshots", false, "list what is in snapshots too; of a mount, if it serves them")
	command.Flags().Var(&c.serial, "guest-serial", "of a source: what a mount with this flag would present")
	return command
}

// A listConfig is what ls is asked for.
type listConfig struct {
	snapshots   bool
	serial      vdi.GuestSerial // that a source is listed with
	serialGiven bool
	stderr      io.Writer
}

// list lists what is mounted at target, if that is the mount point of a clonefs,
// or else the source of that name.
func (c *listConfig) list(target string) (*listing, error) {
	mounted, err := mountedAt(target)
	if err != nil {
		return nil, err
	}
	if mounted == nil {
		return c.listSource(target)
	}
	if c.serialGiven {
		return nil, usageError{errors.New("--guest-serial is for sources: a mount has its own")}
	}
	return c.listMount(*mounted)
}

// mountedAt returns the mount of clonefs on the directory target, nil if there
// is none. A directory in a mount is refused: taken for a source, it would be
// listed with presented UUIDs as the stored ones.
func mountedAt(target string) (*mounts.Mount, error) {
	if strings.HasPrefix(target, datasetKind+":") {
		return nil, nil
	}
	path := strings.TrimPrefix(target, directoryKind+":")
	resolved, mounted, _ := resolveMountpoint(path)
	if mounted != nil || !exists(resolved) {
		return mounted, nil // what does not exist may be a dataset
	}
	table, err := mounts.Read()
	if err != nil {
		return nil, err
	}
	if m, ok := table.Holding(resolved); ok && m.IsCloneFS() {
		return nil, fmt.Errorf("%s is in the clonefs mounted on %s: list that with `clonefs ls %s`", target, m.Dir, m.Dir)
	}
	return nil, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (c *listConfig) listSource(target string) (*listing, error) {
	name, err := parseSource(target)
	if err != nil {
		return nil, usageError{err}
	}
	if c.snapshots && name.kind != datasetKind {
		return nil, usageError{errNoSnapshots}
	}
	source, name, err := openSource(name, c.snapshots, warnings())
	if err != nil {
		return nil, err
	}
	defer closeSource(source)
	if line := emptyNotice(name, source); line != "" {
		printLine(c.stderr, line)
	}
	list := &listing{Source: name.String()}
	c.scan(list, source.Volumes(), sourceView{c.serial})
	return list, nil
}

func (c *listConfig) listMount(mounted mounts.Mount) (*listing, error) {
	if isDead(mounted.Dir) {
		return nil, fmt.Errorf("the clonefs on %s is dead, its daemon was killed: clean it with `clonefs unmount %s`", mounted.Dir, mounted.Dir)
	}
	if unix.Access(mounted.Dir, unix.R_OK|unix.X_OK) != nil {
		return nil, fmt.Errorf("the clonefs on %s does not let this user in: its owner can mount it with --allow-other; to list its source, use `clonefs ls %s`", mounted.Dir, mounted.Source)
	}
	name, err := parseSource(mounted.Source)
	if err != nil {
		return nil, fmt.Errorf("the mount on %s does not say what it was mounted from: %w", mounted.Dir, err)
	}
	source, _, err := openSource(name, c.snapshots, warnings())
	if err != nil {
		return nil, fmt.Errorf("read the stored UUIDs of the mount on %s: %w", mounted.Dir, err)
	}
	defer closeSource(source)
	list := &listing{Source: mounted.Source, Mountpoint: mounted.Dir}
	c.scan(list, source.Volumes(), mountView{filepath.Clean(mounted.Dir)})
	return list, nil
}

// scan adds what is in the volumes to a list, and shows how far it is.
func (c *listConfig) scan(list *listing, volumes []fs.Volume, through view) {
	bar := newProgress(c.stderr, "listing", len(volumes))
	defer bar.end()
	list.scan(volumes, through, bar.step)
}

// warnings returns a logger for commands that are no daemons.
func warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// printListing prints what was found to standard output and what could not be
// read to standard error; the latter makes the command fail.
func printListing(command *cobra.Command, list *listing, asJSON bool) error {
	write := list.writeTable
	if asJSON {
		write = list.writeJSON
	}
	if err := write(command.OutOrStdout()); err != nil {
		return err
	}
	for _, message := range list.Errors {
		printLine(command.ErrOrStderr(), message)
	}
	if len(list.Errors) > 0 {
		return errReported
	}
	return nil
}
