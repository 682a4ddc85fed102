package zfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// Clone makes a dataset as a clone of a snapshot, with these properties, and
// mounts it where ZFS would; that it is mounted is not certain. Its parent must
// exist. If Clone fails, there is no such clone; where one was made and could not
// be destroyed again, the error says so. It is not interrupted in the middle: a ctx
// that is done only keeps it from beginning.
//
// The error matches one of this package's: ErrExist, ErrNotExist for the
// snapshot, ErrNoParent, ErrNoSpace, ErrPermission, ErrBadName, ErrTimeout.
func (c Command) Clone(ctx context.Context, snapshot, dataset string, properties map[string]string) error {
	if err := errors.Join(CheckSnapshotName(snapshot), CheckName(dataset), checkProperties(properties)); err != nil {
		return fmt.Errorf("clone %s to %s: %w", snapshot, dataset, err)
	}
	args := append(cloneArguments(properties), snapshot, dataset)
	// What is there before is not to be destroyed after a failure.
	switch _, err := c.Origin(ctx, dataset); {
	case err == nil:
		return &Error{Args: args, Kind: ErrExist, Err: errors.New("it was there before")}
	case !errors.Is(err, ErrNotExist):
		return err
	}
	err := c.change(ctx, []string{snapshot, dataset}, args...)
	if mayHaveMade(err) {
		return errors.Join(err, c.undo(ctx, snapshot, dataset))
	}
	return err
}

func cloneArguments(properties map[string]string) []string {
	args := []string{"clone"}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		args = append(args, "-o", name+"="+properties[name])
	}
	return args
}

// checkProperties refuses identities that could not be read again: zfs separates
// what it prints with tabs and newlines.
func checkProperties(properties map[string]string) error {
	identity, pinned := properties[IdentityProperty]
	if pinned && (identity == "" || strings.ContainsAny(identity, "\t\n\r\x00")) {
		return fmt.Errorf("%s cannot be %q: it must be text of one line without tabs", IdentityProperty, identity)
	}
	return nil
}

// mayHaveMade says whether a zfs clone that failed may have made the clone all the
// same: it was killed, or it could not mount what it had made.
func mayHaveMade(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) || errors.Is(err, ErrExist) {
		return false
	}
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && !exit.Exited()
	return killed || errors.Is(err, ErrTimeout) || strings.Contains(failure.Stderr, "successfully created")
}

// undo destroys a clone if it is there. It goes on when ctx is done, and tries
// again when its zfs is killed: Ctrl-C in a terminal is for that, too.
func (c Command) undo(ctx context.Context, snapshot, dataset string) (err error) {
	ctx = context.WithoutCancel(ctx)
	for range 3 {
		_, err = c.Destroy(ctx, dataset, DestroyOptions{Origin: snapshot})
		if errors.Is(err, ErrNotExist) {
			return nil
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Exited() {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s may be left behind: %w", dataset, err)
	}
	return nil
}
