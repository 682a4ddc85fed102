package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/clonefs/clonefs/dir"
	"github.com/clonefs/clonefs/zfs"
)

const destroyHelp = `Destroy clones, with all that is in them.

DATASET is a clone of ZFS, DIRECTORY one that clonefs has made. What is not a
clone is refused, unless --original is given, and so is a dataset that has
snapshots or datasets below it, unless --recursive is given. Nothing else is
destroyed but what is named.

While a clone is in use it stays, and the command says who uses it. Of several
clones, those that can be destroyed are. Their names are printed, one a line.
`

const destroyExamples = `  clonefs destroy tank/ci/job-1 tank/ci/job-2
  clonefs destroy ./clones/job-1`

// destroyConfig is what may be destroyed.
type destroyConfig struct {
	original, recursive, clones bool
}

func newDestroyCommand() *cobra.Command {
	var config destroyConfig
	command := &cobra.Command{
		Use:     "destroy [flags] DATASET...|DIRECTORY...",
		Short:   "Destroy clones",
		Long:    destroyHelp + "\n" + exitHelp,
		Example: destroyExamples,
		Args:    cobra.MinimumNArgs(1),
		RunE:    config.run,
	}
	flags := command.Flags()
	flags.BoolVar(&config.original, "original", false, "destroy what is no clone, too")
	flags.BoolVarP(&config.recursive, "recursive", "r", false, "destroy snapshots of it and datasets below it, too")
	flags.BoolVarP(&config.clones, "clones", "R", false, "as --recursive, and all clones of these snapshots, wherever they are")
	return command
}

func (c *destroyConfig) run(command *cobra.Command, args []string) error {
	victims := make([]sourceName, 0, len(args))
	for _, arg := range args {
		victim, err := parseSource(arg)
		if err == nil && victim.kind == directoryKind && (c.recursive || c.clones) {
			err = errors.New("--recursive and --clones are for datasets: a directory is destroyed with all that is in it")
		}
		if err != nil {
			return usageError{err}
		}
		victims = append(victims, victim)
	}
	ctx, stop := untilSignal(command.Context())
	defer stop()
	status := exitDone
	for _, victim := range victims {
		destroyed, err := c.destroy(ctx, victim)
		if err != nil {
			printLine(command.ErrOrStderr(), err.Error())
			status = max(status, exitStatus(err))
		}
		for _, name := range destroyed {
			if _, err := fmt.Fprintln(command.OutOrStdout(), name); err != nil {
				return err
			}
		}
	}
	if status != exitDone {
		return statusError{errReported, status}
	}
	return nil
}

func (c *destroyConfig) destroy(ctx context.Context, victim sourceName) ([]string, error) {
	if victim.kind == directoryKind {
		return c.destroyDirectory(ctx, victim.name)
	}
	return c.destroyDataset(ctx, victim.name)
}

func (c *destroyConfig) destroyDataset(ctx context.Context, dataset string) ([]string, error) {
	command, err := zfs.FindCommand()
	if err != nil {
		return nil, fmt.Errorf("destroy %s: %w", dataset, err)
	}
	options := zfs.DestroyOptions{Original: c.original}
	switch {
	case c.clones:
		options.With = zfs.DestroyClones
	case c.recursive:
		options.With = zfs.DestroyBelow
	}
	destroyed, err := command.Destroy(ctx, dataset, options)
	return destroyed, explainDestroy(dataset, err)
}

// explainDestroy says what to do about a dataset that cannot be destroyed.
func explainDestroy(dataset string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(dataset, "@"):
		return fmt.Errorf("%s is a snapshot, and clonefs destroys clones only: `zfs destroy` is for it", dataset)
	case errors.Is(err, zfs.ErrNotExist):
		return errors.Join(fmt.Errorf("there is no dataset %s: `zfs list` shows those that there are; a directory is written with a slash or as dir:PATH", dataset), directoryHint(dataset))
	case errors.Is(err, zfs.ErrNotClone):
		return fmt.Errorf("%w; with --original it is destroyed all the same", err)
	case errors.Is(err, zfs.ErrHasClones):
		return fmt.Errorf("%s has snapshots with clones, and stays%s\nwith --clones they are destroyed, too", dataset, namedBy(err))
	case errors.Is(err, zfs.ErrHasChildren):
		return fmt.Errorf("%s has snapshots or datasets below it, and stays%s\nwith --recursive they are destroyed, too", dataset, namedBy(err))
	case errors.Is(err, zfs.ErrBusy):
		return explainInUse(sourceName{datasetKind, dataset})
	}
	return err
}

// namedBy returns the datasets that zfs named in its refusal, one a line.
func namedBy(err error) string {
	var failure *zfs.Error
	if !errors.As(err, &failure) {
		return ""
	}
	_, list, found := strings.Cut(failure.Stderr, "following datasets:\n")
	if !found {
		return ""
	}
	return ":\n  " + strings.ReplaceAll(list, "\n", "\n  ")
}

func (c *destroyConfig) destroyDirectory(ctx context.Context, path string) ([]string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if m, err := mountedAt(directoryKind + ":" + absolute); err != nil || m != nil {
		return nil, errors.Join(err, refuseMount(m))
	}
	source, err := dir.New(filepath.Dir(absolute), warnings())
	if err != nil {
		return nil, err
	}
	absolute = filepath.Join(source.Path(), filepath.Base(absolute))
	if !c.original && exists(absolute) && !dir.IsClone(absolute) {
		return nil, fmt.Errorf("%s is no clone that clonefs has made; with --original it is destroyed all the same", path)
	}
	err = source.Destroy(ctx, filepath.Base(absolute))
	switch {
	case errors.Is(err, syscall.EBUSY):
		return nil, explainInUse(sourceName{directoryKind, absolute})
	case err != nil:
		return nil, err
	}
	return []string{absolute}, nil
}
