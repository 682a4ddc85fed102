package zfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// IdentityProperty is the ZFS user property that pins a file system's identity.
// It counts where it is set on the file system itself: an inherited value would
// give one identity to many.
const IdentityProperty = "clonefs:identity"

// IdentityOriginal is the property's value, and the identity, of a file system
// whose stored UUIDs are presented unchanged.
const IdentityOriginal = "original"

// A Dataset is a file system, mounted or not, or a snapshot.
type Dataset struct {
	Name string
	// GUID is drawn at random when a file system is created, and stays with it
	// for its life, over rename, promote, rollback, export and import.
	GUID uint64
	// Identity is the text that says which volume the file system is:
	// "zfs:" and the GUID in decimal, or what IdentityProperty makes of it:
	// "name:" and its value, or IdentityOriginal.
	Identity string
}

// List returns the file system of this name and all below it, from one run of zfs.
// It returns an *Error where zfs failed; its Kind is ErrNotExist where there is no
// such dataset, ErrNotMountable where it is no file system, and ErrOutput where
// zfs wrote what was not expected.
func (c Command) List(ctx context.Context, dataset string) ([]Dataset, error) {
	args := listArguments("filesystem", "-r", dataset)
	out, err := c.run(ctx, []string{dataset}, args...)
	if err != nil {
		return nil, err
	}
	list, err := parseDatasets(out)
	if err != nil {
		return nil, &Error{Args: args, Kind: ErrOutput, Err: err}
	}
	if !slices.ContainsFunc(list, func(d Dataset) bool { return d.Name == dataset }) {
		return nil, &Error{Args: args, Kind: ErrNotMountable, Err: errors.New("zfs left it out")}
	}
	return list, nil
}

// Describe returns those file systems of these names that exist. It is quick
// where List, over thousands, is not. Errors are as List's.
func (c Command) Describe(ctx context.Context, names ...string) ([]Dataset, error) {
	args := listArguments("filesystem", names...)
	out, err := c.run(ctx, names, args...)
	// Of what exists zfs tells, also where another does not.
	if failure := (*Error)(nil); errors.As(err, &failure) && !onlyMissing(failure, names) {
		return nil, err
	}
	list, err := parseDatasets(out)
	if err != nil {
		return nil, &Error{Args: args, Kind: ErrOutput, Err: err}
	}
	return list, nil
}

// ListSnapshots returns the snapshots of the file system of this name and of all
// below it. Errors are as List's.
func (c Command) ListSnapshots(ctx context.Context, dataset string) ([]Dataset, error) {
	return c.snapshots(ctx, []string{"-r"}, dataset)
}

// DescribeSnapshots returns the snapshots of those file systems of these names that
// exist. Errors are as List's.
func (c Command) DescribeSnapshots(ctx context.Context, names ...string) ([]Dataset, error) {
	return c.snapshots(ctx, []string{"-d", "1"}, names...)
}

func (c Command) snapshots(ctx context.Context, depth []string, names ...string) ([]Dataset, error) {
	args := listArguments("snapshot", append(depth, names...)...)
	out, err := c.run(ctx, names, args...)
	if failure := (*Error)(nil); errors.As(err, &failure) && !onlyMissing(failure, names) {
		return nil, err
	}
	list, err := parseDatasets(out)
	if err != nil {
		return nil, &Error{Args: args, Kind: ErrOutput, Err: err}
	}
	return list, nil
}

// listArguments are zfs's arguments for a listing. "zfs get" is asked, and not
// "zfs list", because it tells where a property was set.
func listArguments(datasetType string, more ...string) []string {
	return append([]string{"get", "-H", "-p", "-t", datasetType, "-o", "name,property,value,source", "guid," + IdentityProperty}, more...)
}

// onlyMissing says whether a run failed for no other reason than that some of
// these datasets do not exist.
func onlyMissing(failure *Error, names []string) bool {
	if !errors.Is(failure, ErrNotExist) {
		return false
	}
	for line := range strings.SplitSeq(failure.Stderr, "\n") {
		if !errors.Is(classify(line, names...), ErrNotExist) {
			return false
		}
	}
	return true
}

// parseDatasets reads what listArguments ask for: of every file system one line a
// property, in that order. A tab or newline in a pinned identity makes lines that
// are refused, and so is a file system that is there twice: that would be such a
// newline with another's lines behind it.
func parseDatasets(out string) ([]Dataset, error) {
	var list []Dataset
	seen := make(map[string]bool)
	lines := strings.Split(out, "\n")
	if last := len(lines) - 1; lines[last] != "" {
		return nil, fmt.Errorf("the last line is cut off: %q", lines[last])
	}
	for pair := range slices.Chunk(lines[:len(lines)-1], 2) {
		dataset, err := parseDataset(pair)
		if err != nil {
			return nil, err
		}
		if seen[dataset.Name] {
			return nil, fmt.Errorf("%q is there twice", dataset.Name)
		}
		seen[dataset.Name] = true
		list = append(list, dataset)
	}
	return list, nil
}

// parseDataset reads the lines of one file system.
func parseDataset(lines []string) (Dataset, error) {
	if len(lines) != 2 {
		return Dataset{}, fmt.Errorf("a line is missing after %q", lines)
	}
	guid, err := parseProperty(lines[0], "guid")
	if err != nil {
		return Dataset{}, err
	}
	pinned, err := parseProperty(lines[1], IdentityProperty)
	if err != nil {
		return Dataset{}, err
	}
	if pinned.dataset != guid.dataset {
		return Dataset{}, fmt.Errorf("%q follows %q", lines[1], lines[0])
	}
	number, err := strconv.ParseUint(guid.value, 10, 64)
	if err != nil {
		return Dataset{}, fmt.Errorf("%q has no GUID: %w", lines[0], err)
	}
	return Dataset{Name: guid.dataset, GUID: number, Identity: identity(number, pinned)}, nil
}

// A property is one line of zfs get.
type property struct{ dataset, value, source string }

// parseProperty reads one line, which must be of this property.
func parseProperty(line, name string) (property, error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 4 || fields[0] == "" || fields[1] != name || fields[3] == "" {
		return property{}, fmt.Errorf("want a dataset's %s, have %q", name, line)
	}
	return property{dataset: fields[0], value: fields[2], source: fields[3]}, nil
}

// identity makes the identity of a file system.
func identity(guid uint64, pinned property) string {
	switch {
	case pinned.source != "local":
		return "zfs:" + strconv.FormatUint(guid, 10)
	case pinned.value == IdentityOriginal:
		return IdentityOriginal
	default:
		return "name:" + pinned.value
	}
}
