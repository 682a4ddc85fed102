package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// parallelClones is how many clones are made at once. ZFS writes those of one
// transaction group to the disks together.
const parallelClones = 8

var errInterrupted = errors.New("interrupted")

// makeAll makes all clones or none, and calls step after each. What is left because
// it could not be destroyed again is named in the error.
func makeAll(ctx context.Context, maker cloneMaker, targets []cloneTarget, step func()) error {
	var mu sync.Mutex
	var made []cloneTarget
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallelClones)
	for _, target := range targets {
		group.Go(func() error {
			if groupCtx.Err() != nil {
				return groupCtx.Err()
			}
			if err := maker.make(groupCtx, target); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			made = append(made, target)
			step()
			return nil
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		err = errInterrupted
	}
	if err == nil {
		return nil
	}
	return unmakeAll(ctx, maker, made, err)
}

// unmakeAll destroys what was made because of an error, goes on when ctx is done,
// and returns the error with what became of the clones.
func unmakeAll(ctx context.Context, maker cloneMaker, made []cloneTarget, err error) error {
	if len(made) == 0 {
		return fmt.Errorf("%w\nno clone was made", err)
	}
	var mu sync.Mutex
	var left []string
	var group errgroup.Group
	group.SetLimit(parallelClones)
	for _, target := range made {
		group.Go(func() error {
			if failure := maker.unmake(context.WithoutCancel(ctx), target); failure != nil {
				mu.Lock()
				defer mu.Unlock()
				left = append(left, target.name+": "+failure.Error())
			}
			return nil
		})
	}
	_ = group.Wait() // failures are in left
	gone := len(made) - len(left)
	err = fmt.Errorf("%w\nno clone was made: %s, made before that, %s destroyed again", err, count(gone, "clone"), isOrAre(gone))
	if len(left) > 0 {
		err = fmt.Errorf("%w; left behind are\n  %s", err, strings.Join(left, "\n  "))
	}
	return err
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
