package zfs

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Origin returns the snapshot that a dataset is a clone of, "" for a dataset that
// is not a clone. Errors are as List's.
func (c Command) Origin(ctx context.Context, dataset string) (string, error) {
	if err := CheckName(dataset); err != nil {
		return "", err
	}
	value, err := c.property(ctx, "filesystem,volume", "origin", dataset)
	if value == "-" {
		value = ""
	}
	return value, err
}

// CheckSnapshot returns nil for a snapshot that exists, and otherwise what is
// wrong, as List does.
func (c Command) CheckSnapshot(ctx context.Context, name string) error {
	if err := CheckSnapshotName(name); err != nil {
		return err
	}
	_, err := c.property(ctx, "snapshot", "guid", name)
	return err
}

// property returns the value of a property of a dataset of these types.
func (c Command) property(ctx context.Context, types, name, dataset string) (string, error) {
	args := []string{"get", "-H", "-p", "-t", types, "-o", "name,property,value,source", name, dataset}
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	out, err := c.run(ctx, []string{dataset}, args...)
	if err != nil {
		return "", err
	}
	if out == "" { // it is of another type
		return "", &Error{Args: args, Kind: ErrNotMountable, Err: errors.New("zfs left it out")}
	}
	found, err := parseProperty(strings.TrimSuffix(out, "\n"), name)
	if err == nil && found.dataset != dataset {
		err = fmt.Errorf("it is about %q", found.dataset)
	}
	if err != nil {
		return "", &Error{Args: args, Kind: ErrOutput, Err: err}
	}
	return found.value, nil
}
