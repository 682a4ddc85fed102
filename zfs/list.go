package zfs

import (
	"context"
	"crypto/rand"
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
	end := newEndProperty()
	args := listArguments(end, "filesystem", "-r", dataset)
	out, err := c.run(ctx, []string{dataset}, args...)
	if err != nil {
		return nil, err
	}
	list, err := parseDatasets(out, end)
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
	return c.existing(ctx, "filesystem", nil, names...)
}

// ListSnapshots returns the snapshots of the file system of this name and of all
// below it. Errors are as List's.
func (c Command) ListSnapshots(ctx context.Context, dataset string) ([]Dataset, error) {
	return c.existing(ctx, "snapshot", []string{"-r"}, dataset)
}

// DescribeSnapshots returns the snapshots of those file systems of these names that
// exist. Errors are as List's.
func (c Command) DescribeSnapshots(ctx context.Context, names ...string) ([]Dataset, error) {
	return c.existing(ctx, "snapshot", []string{"-d", "1"}, names...)
}

// existing returns the datasets of a type that there are, of these names or as deep
// below them as zfs is told. Of what exists zfs tells, also where another does not.
func (c Command) existing(ctx context.Context, datasetType string, depth []string, names ...string) ([]Dataset, error) {
	end := newEndProperty()
	args := listArguments(end, datasetType, append(depth, names...)...)
	out, err := c.run(ctx, names, args...)
	if failure := (*Error)(nil); errors.As(err, &failure) && !onlyMissing(failure, names) {
		return nil, err
	}
	list, err := parseDatasets(out, end)
	if err != nil {
		return nil, &Error{Args: args, Kind: ErrOutput, Err: err}
	}
	return list, nil
}

// newEndProperty returns the name of a property that nobody has ever set. What zfs
// says of it comes after all that it says of a dataset, and ends it: a pinned
// identity may be any text, also one with lines that look like another dataset's,
// but none that ends with a word that was drawn after it was written.
func newEndProperty() string { return "clonefs:end-" + strings.ToLower(rand.Text()) }

// listArguments are zfs's arguments for a listing. "zfs get" is asked, and not
// "zfs list", because it tells where a property was set.
func listArguments(end, datasetType string, more ...string) []string {
	properties := "guid," + IdentityProperty + "," + end
	return append([]string{"get", "-H", "-p", "-t", datasetType, "-o", "name,property,value,source", properties}, more...)
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

// parseDatasets reads what listArguments ask for: of every dataset one line a
// property, in that order, where the pinned identity's may be broken into several.
// Who reads the property's name from the list of processes and is quick could still
// write it into an identity. Since the last line is about their own dataset, that
// is there twice then, and all is refused.
func parseDatasets(out, end string) ([]Dataset, error) {
	var list []Dataset
	seen := make(map[string]bool)
	for out != "" {
		record, rest, ok := strings.Cut(out, "\t"+end+"\t-\t-\n")
		if !ok {
			return nil, fmt.Errorf("the end is missing: %q", out)
		}
		dataset, err := parseDataset(record)
		if err != nil {
			return nil, err
		}
		if seen[dataset.Name] {
			return nil, fmt.Errorf("%q is there twice", dataset.Name)
		}
		seen[dataset.Name] = true
		list, out = append(list, dataset), rest
	}
	return list, nil
}

// parseDataset reads what is said of one dataset, up to its name in the last line.
func parseDataset(record string) (Dataset, error) {
	first, rest, _ := strings.Cut(record, "\n")
	guid, err := parseProperty(first, "guid")
	if err != nil {
		return Dataset{}, err
	}
	number, err := strconv.ParseUint(guid.value, 10, 64)
	if err != nil {
		return Dataset{}, fmt.Errorf("%q has no GUID: %w", first, err)
	}
	text, begins := strings.CutPrefix(rest, guid.dataset+"\t"+IdentityProperty+"\t")
	text, ends := strings.CutSuffix(text, "\n"+guid.dataset)
	tab := strings.LastIndexByte(text, '\t')
	if !begins || !ends || tab < 0 || tab+1 == len(text) {
		return Dataset{}, fmt.Errorf("want the %s of %q, have %q", IdentityProperty, guid.dataset, rest)
	}
	return Dataset{Name: guid.dataset, GUID: number, Identity: identity(number, text[:tab], text[tab+1:])}, nil
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

// identity makes the identity of a dataset whose IdentityProperty has this value,
// from this source.
func identity(guid uint64, pinned, source string) string {
	switch {
	case source != "local":
		return "zfs:" + strconv.FormatUint(guid, 10)
	case pinned == IdentityOriginal:
		return IdentityOriginal
	default:
		return "name:" + pinned
	}
}
