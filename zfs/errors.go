package zfs

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// What can be wrong, for errors.Is.
var (
	ErrNoProgram    = errors.New("there is no zfs program: install OpenZFS's user programs (on Debian zfsutils-linux)")
	ErrNoModule     = errors.New("the kernel has no ZFS: load its module with modprobe zfs")
	ErrPermission   = errors.New("not permitted")
	ErrNotExist     = errors.New("dataset does not exist")
	ErrExist        = errors.New("dataset already exists")
	ErrNoParent     = errors.New("parent dataset does not exist")
	ErrBadName      = errors.New("not a dataset's name")
	ErrNotMountable = errors.New("not a ZFS file system")
	ErrBusy         = errors.New("dataset is busy")
	ErrHasChildren  = errors.New("dataset has children or snapshots")
	ErrHasClones    = errors.New("dataset has dependent clones")
	ErrNotClone     = errors.New("dataset is not such a clone")
	ErrNoSpace      = errors.New("out of space")
	ErrTimeout      = errors.New("no answer in time")
	ErrOutput       = errors.New("output not understood")
)

// An Error is a failed run of the zfs program. It unwraps to what is wrong, one of
// this package's errors, where that was recognised, and to what running the
// program returned.
type Error struct {
	Args   []string // zfs's arguments
	Stderr string   // what zfs said, without the last newline
	Kind   error    // one of this package's errors, or nil
	Err    error    // from os/exec, or a context's
}

// Error names the command, and what zfs said, or else what is wrong.
func (e *Error) Error() string {
	text := "zfs " + strings.Join(e.Args, " ") + ": "
	switch {
	case e.Stderr == "" && e.Kind == nil:
		return text + e.Err.Error()
	case e.Stderr == "" || errors.Is(e.Kind, ErrNoModule):
		return text + e.Kind.Error()
	}
	return text + e.Stderr
}

// Unwrap returns what is wrong, and what running the program returned.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// about is the line that says what is wrong with one dataset. zfs quotes names,
// but not those of snapshots that it destroys.
var about = regexp.MustCompile(`^cannot [a-z]+(?: property for| snapshot| snapshots)? (?:'(.+)'|([^'].*@.+)): (.+)$`)

// kinds are the reasons that such a line ends with. Those of OpenZFS 2.1 are
// recorded in testdata, and the tests read them from there.
var kinds = []struct {
	reason *regexp.Regexp
	kind   error
}{
	{regexp.MustCompile(`^dataset does not exist$`), ErrNotExist},
	{regexp.MustCompile(`^no such pool(?: '.+')?$`), ErrNotExist},
	{regexp.MustCompile(`^dataset already exists$`), ErrExist},
	{regexp.MustCompile(`^parent does not exist$`), ErrNoParent},
	{regexp.MustCompile(`^permission denied$`), ErrPermission},
	{regexp.MustCompile(`^(?:pool or )?dataset is busy$`), ErrBusy},
	{regexp.MustCompile(`^filesystem has children$`), ErrHasChildren},
	{regexp.MustCompile(`^(?:filesystem|snapshot|volume) has dependent clones$`), ErrHasClones},
	{regexp.MustCompile(`^operation not applicable to datasets of this type$`), ErrNotMountable},
	{regexp.MustCompile(`^out of space$`), ErrNoSpace},
	{regexp.MustCompile(`^.+ in name$`), ErrBadName},
	{regexp.MustCompile(`^name is too long$`), ErrBadName},
}

// whole are messages that name no dataset, by their first line.
var whole = map[string]error{
	"The ZFS modules are not loaded.":                                ErrNoModule,
	"/dev/zfs and /proc/self/mounts are required.":                   ErrNoModule,
	"Permission denied the ZFS utilities must be run as root.":       ErrPermission,
	"could not find any snapshots to destroy; check snapshot names.": ErrNotExist,
	"Unable to open /dev/zfs: Permission denied.":                    ErrPermission,
}

// classify says what is wrong by the first line of what zfs wrote to its standard
// error; nil where the line is not one that we know, or is about another dataset
// than those that the command was about.
func classify(stderr string, datasets ...string) error {
	line, _, _ := strings.Cut(stderr, "\n")
	if kind, ok := whole[line]; ok {
		return kind
	}
	name, reason, ok := complaint(line)
	if !ok || !isAbout(name, datasets) {
		return nil
	}
	for _, k := range kinds {
		if k.reason.MatchString(reason) {
			return k.kind
		}
	}
	return nil
}

// isAbout says whether a name in a message is one of these datasets, or the pool of
// one, which it is while a pool goes; what cannot be unmounted is named by its
// mount point.
func isAbout(name string, datasets []string) bool {
	return strings.HasPrefix(name, "/") || slices.ContainsFunc(datasets, func(dataset string) bool {
		pool, _, _ := strings.Cut(dataset, "/")
		return name == dataset || name == pool
	})
}

// complaint takes a line of zfs's standard error apart.
func complaint(line string) (name, reason string, ok bool) {
	match := about.FindStringSubmatch(line)
	if match == nil {
		return "", "", false
	}
	return match[1] + match[2], match[3], true
}
