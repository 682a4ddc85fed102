package zfs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

const (
	// changeLimit is how long one change may take. ZFS waits for the disks
	// with each.
	changeLimit = time.Minute

	// closing is how long a file may seem open after close(2) has returned: a
	// FUSE server, as clonefs is one, is told of it later.
	closing = time.Second
)

// change runs a zfs that changes datasets. What has begun is not ended with ctx,
// so that it is known how it ended; only its time is limited.
func (c Command) change(ctx context.Context, datasets []string, args ...string) error {
	return c.changeWithin(ctx, changeLimit, datasets, args...)
}

func (c Command) changeWithin(ctx context.Context, limit time.Duration, datasets []string, args ...string) error {
	if err := ctx.Err(); err != nil {
		return &Error{Args: args, Err: err}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		_, err := c.run(ctx, datasets, args...)
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(limit + 2*killedWait):
		// A client's request may wait for this one.
		return &Error{Args: args, Kind: ErrTimeout, Err: errors.New("zfs hangs and cannot be ended")}
	}
}

// untilFree tries, and tries again for a moment while a dataset is busy.
func untilFree(ctx context.Context, try func() error) error {
	for deadline := time.Now().Add(closing); ; {
		err := try()
		if !errors.Is(err, ErrBusy) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Names as zfs allows them. What it takes for more than one dataset's or
// snapshot's name, or for an option, is none of them: "zfs destroy tank/a@%"
// destroys all snapshots.
var (
	datasetName  = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9_.: ]*(/[-a-zA-Z0-9_.: ]+)*$`)
	snapshotName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9_.: ]*(/[-a-zA-Z0-9_.: ]+)*@[-a-zA-Z0-9_.: ]+$`)
)

// CheckName returns an error that matches ErrBadName where this cannot be the name
// of a file system.
func CheckName(name string) error {
	if !datasetName.MatchString(name) {
		return fmt.Errorf("%q: %w", name, ErrBadName)
	}
	return nil
}

// CheckSnapshotName returns an error that matches ErrBadName where this cannot be
// the name of one snapshot.
func CheckSnapshotName(name string) error {
	if !snapshotName.MatchString(name) {
		return fmt.Errorf("%q is no snapshot's name (DATASET@SNAPSHOT): %w", name, ErrBadName)
	}
	return nil
}
