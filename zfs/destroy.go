package zfs

import (
	"context"
	"fmt"
	"strings"
)

// Dependents says what may be destroyed together with a dataset.
type Dependents string

const (
	// DestroyAlone destroys only a dataset that nothing depends on.
	DestroyAlone Dependents = ""
	// DestroyBelow destroys its snapshots, too, and all datasets below it.
	DestroyBelow Dependents = "-r"
	// DestroyClones destroys, besides, all clones of all these, wherever they
	// are.
	DestroyClones Dependents = "-R"
)

// DestroyOptions says what Destroy may destroy.
type DestroyOptions struct {
	// Origin is the snapshot that the dataset has to be a clone of, "" for
	// any.
	Origin string
	// Original allows to destroy what is not a clone. Origin must be "".
	Original bool
	// With is what may be destroyed as well.
	With Dependents
}

// Destroy destroys a file system, if it is a clone, and returns the names of all
// that was destroyed with it, itself among them. While it is busy, it tries
// again for a second.
//
// The error matches ErrNotClone for what must not be destroyed, ErrHasChildren
// for what has snapshots or datasets below it, ErrHasClones, ErrBusy, ErrNotExist,
// ErrPermission, ErrBadName or ErrTimeout.
func (c Command) Destroy(ctx context.Context, dataset string, options DestroyOptions) ([]string, error) {
	if err := c.mayDestroy(ctx, dataset, options); err != nil {
		return nil, fmt.Errorf("destroy %s: %w", dataset, err)
	}
	destroyed := []string{dataset}
	args := []string{"destroy"}
	if options.With != DestroyAlone {
		args = append(args, string(options.With))
		var err error
		if destroyed, err = c.dependents(ctx, dataset, options.With); err != nil {
			return nil, err
		}
	}
	args = append(args, dataset)
	err := untilFree(ctx, func() error { return c.change(ctx, []string{dataset}, args...) })
	if err != nil {
		return nil, err
	}
	return destroyed, nil
}

// mayDestroy returns nil for what the options allow to destroy.
func (c Command) mayDestroy(ctx context.Context, dataset string, options DestroyOptions) error {
	if options.Original {
		return CheckName(dataset)
	}
	return c.IsCloneOf(ctx, dataset, options.Origin)
}

// IsCloneOf returns nil for a clone of a snapshot, "" for any, and an error that
// matches ErrNotClone for other datasets.
func (c Command) IsCloneOf(ctx context.Context, dataset, snapshot string) error {
	origin, err := c.Origin(ctx, dataset)
	switch {
	case err != nil:
		return err
	case origin == "":
		return fmt.Errorf("it is no clone of anything: %w", ErrNotClone)
	case snapshot != "" && origin != snapshot:
		return fmt.Errorf("it is a clone of %s, not of %s: %w", origin, snapshot, ErrNotClone)
	}
	return nil
}

// dependents returns the names of all that would be destroyed with a dataset, and
// its own.
func (c Command) dependents(ctx context.Context, dataset string, with Dependents) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	out, err := c.run(ctx, []string{dataset}, "destroy", "-n", "-v", "-p", string(with), dataset)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(line, "destroy\t"); ok {
			names = append(names, strings.TrimSuffix(name, "\n"))
		}
	}
	return names, nil
}
