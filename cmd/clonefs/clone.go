package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const cloneHelp = `Clone SNAPSHOT to each DATASET, or the directory TEMPLATE to each DIRECTORY.

SNAPSHOT is a snapshot of ZFS, tank/golden@v1. A TEMPLATE begins with a slash, a
dot, or dir:. Its files are cloned so that they share their blocks until one is
written to (reflinks: Btrfs, XFS); where the file system cannot do that, nothing
is made, unless --copy says to copy.

With --count the name is a pattern: tank/ci/job-%03d makes tank/ci/job-001 and
so on, from --first.

All or nothing: if one clone cannot be made, or Ctrl-C is pressed, those that were
made before are destroyed again, and the command fails.

One line is printed for each clone, in their order: its path under the mount of
clonefs that serves it, as soon as it is there, or its own name where none does.

With --json the output is one object, whose fields stay as they are; new ones
may be added:

  source      "zfs:tank/golden@v1" or "dir:/srv/golden"
  clones      a list of objects with
    name      of the dataset, or path of the directory
    identity  the text that its presented UUIDs are derived from
    paths     where mounts serve it, a list
`

const cloneExamples = `  clonefs clone tank/golden@v1 tank/ci/job-1
  clonefs clone tank/golden@v1 --count 20 tank/ci/job-%02d
  clonefs clone -o quota=20G --identity ci-7 tank/golden@v1 tank/ci/job-7
  clonefs clone ./golden ./clones/job-1 ./clones/job-2`

// cloneConfig is what clones are to be like.
type cloneConfig struct {
	numbers  numbering
	settings []string
	identity string
	copy     bool
	asJSON   bool
}

func newCloneCommand() *cobra.Command {
	var config cloneConfig
	command := &cobra.Command{
		Use:     "clone [flags] SNAPSHOT DATASET... | TEMPLATE DIRECTORY...",
		Short:   "Make clones, all or none",
		Long:    cloneHelp + "\n" + exitHelp,
		Example: cloneExamples,
		Args:    cobra.MinimumNArgs(2),
		RunE:    config.run,
	}
	flags := command.Flags()
	flags.IntVarP(&config.numbers.count, "count", "n", 0, "make this many clones; the name is a pattern")
	flags.IntVar(&config.numbers.first, "first", 1, "the number of the first")
	flags.StringArrayVarP(&config.settings, "option", "o", nil, "set a ZFS `property=value` on each clone (repeat)")
	flags.StringVar(&config.identity, "identity", "", "pin this identity: a clone made again with it keeps its UUIDs;\nwith --count a pattern")
	flags.BoolVar(&config.copy, "copy", false, "of directories: copy what cannot share its blocks")
	flags.BoolVar(&config.asJSON, "json", false, "print an object that programs can read")
	return command
}

func (c *cloneConfig) run(command *cobra.Command, args []string) error {
	source, err := parseSource(args[0])
	if err != nil {
		return usageError{err}
	}
	var numbers *numbering
	if command.Flags().Changed("count") {
		numbers = &c.numbers
	} else if command.Flags().Changed("first") {
		return usageError{errors.New("--first is for --count")}
	}
	targets, err := targetsOf(source.kind, args[1:], c.identity, numbers)
	if err != nil {
		return usageError{err}
	}
	maker, err := c.maker(source)
	if err != nil {
		return err
	}
	// Who makes clones is not to be ended in the middle.
	ctx, stop := untilSignal(command.Context())
	defer stop()
	made, err := c.make(ctx, command, maker, targets)
	if err != nil {
		return err
	}
	return made.print(command.OutOrStdout(), c.asJSON)
}

func (c *cloneConfig) make(ctx context.Context, command *cobra.Command, maker cloneMaker, targets []cloneTarget) (*cloneList, error) {
	if err := maker.check(ctx, targets); err != nil {
		return nil, err
	}
	bar := newProgress(command.ErrOrStderr(), "cloning", len(targets))
	defer bar.end()
	if err := makeAll(ctx, maker, targets, bar.step); err != nil {
		return nil, err
	}
	list, err := maker.describe(ctx, targets)
	if err != nil {
		return nil, unmakeAll(ctx, maker, targets, err)
	}
	bar.end()
	notice := func(line string) { printLine(command.ErrOrStderr(), line) }
	err = list.awaitPaths(ctx, notice)
	if ctx.Err() != nil {
		err = errInterrupted
	}
	if err != nil {
		return nil, unmakeAll(ctx, maker, targets, err)
	}
	return list, nil
}

// A cloneMaker makes clones of one snapshot or template. Its methods may be called
// from several goroutines at once.
type cloneMaker interface {
	// check finds what is wrong before anything is made.
	check(ctx context.Context, targets []cloneTarget) error
	// make makes one clone, or nothing.
	make(ctx context.Context, target cloneTarget) error
	// unmake destroys what make has made.
	unmake(ctx context.Context, target cloneTarget) error
	// describe tells of what was made.
	describe(ctx context.Context, targets []cloneTarget) (*cloneList, error)
}

// maker returns the maker for clones of a source.
func (c *cloneConfig) maker(source sourceName) (cloneMaker, error) {
	if source.kind == directoryKind {
		if c.identity != "" || len(c.settings) > 0 {
			return nil, usageError{errors.New("--identity and -o are for datasets: the identity of a directory is its name")}
		}
		return newDirectoryMaker(source.name, c.copy)
	}
	if c.copy {
		return nil, usageError{errors.New("--copy is for directories: clones of snapshots never are copies")}
	}
	if !strings.Contains(source.name, "@") {
		err := fmt.Errorf("%s is no snapshot, and clones are made of one: `zfs snapshot %s@v1` makes it; a directory is written with a slash or as dir:PATH", source.name, source.name)
		return nil, usageError{errors.Join(err, directoryHint(source.name))}
	}
	return newDatasetMaker(source.name, c.settings)
}
