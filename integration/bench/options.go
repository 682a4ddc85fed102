//go:build linux

package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultDocument = "docs/benchmarks.md"
	toStdout        = "-"
)

// errUsage says that the command line is wrong.
var errUsage = errors.New("the command line is wrong")

// options are what the user can choose.
type options struct {
	rounds   int
	runtime  time.Duration  // of one run of fio
	size     int64          // of the image, in bytes
	volumes  int            // how many there are where many are measured
	rows     *regexp.Regexp // matched with "BACKING: ROW"; nil for all
	subjects []string       // nil for all
	disk     string         // directory on a disk, empty for none
	out      string
	clonefs  string // the program

	args []string // as they were given, for the document
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	opts := options{args: args}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.IntVar(&opts.rounds, "rounds", 5, "how often each row is measured; the median counts")
	flags.DurationVar(&opts.runtime, "runtime", 2*time.Second, "how long one run of fio goes on")
	size := flags.String("size", "2G", "size of the image, as 512M or 2G")
	flags.IntVar(&opts.volumes, "volumes", 10_000, "how many volumes there are where many are measured")
	rows := flags.String("rows", "", "only rows that this regular `expression` matches; a row is written \"tmpfs: TITLE\"")
	subjects := flags.String("subjects", "", "only these, separated by commas, of "+strings.Join(subjectNames(), ","))
	flags.StringVar(&opts.disk, "disk", defaultDisk(), "directory on a real disk; empty for no rows on one")
	flags.StringVar(&opts.out, "out", defaultDocument, "the `file` to write, - for standard output")
	flags.StringVar(&opts.clonefs, "clonefs", "bin/clonefs", "the `program` to measure")
	if err := flags.Parse(args); err != nil {
		return opts, usageError(err)
	}
	if flags.NArg() > 0 {
		return opts, usageError(fmt.Errorf("it takes flags only, not %q", flags.Arg(0)))
	}
	if err := opts.set(*size, *rows, *subjects); err != nil {
		return opts, usageError(err)
	}
	return opts, nil
}

func usageError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w: %w", errUsage, err)
}

// set takes what a flag alone cannot check.
func (o *options) set(size, rows, subjects string) error {
	var errSize, errRows, errSubjects error
	o.size, errSize = parseSize(size)
	if rows != "" {
		o.rows, errRows = regexp.Compile(rows)
	}
	if subjects != "" {
		o.subjects = strings.Split(subjects, ",")
		errSubjects = checkSubjects(o.subjects)
	}
	return cmp.Or(errSize, errRows, errSubjects, o.check())
}

func (o *options) check() error {
	switch {
	case o.rounds < 1:
		return fmt.Errorf("--rounds=%d: one at least", o.rounds)
	case o.runtime < time.Second || o.runtime%time.Second != 0:
		return fmt.Errorf("--runtime=%v: fio takes whole seconds", o.runtime)
	case o.volumes < 1:
		return fmt.Errorf("--volumes=%d: one at least", o.volumes)
	case o.partial() && o.out == defaultDocument:
		return fmt.Errorf("a part of the table does not replace %s: give --out=FILE, or --out=- to see it", defaultDocument)
	}
	return nil
}

// partial says whether some of what belongs into the document is left out.
func (o *options) partial() bool { return o.rows != nil || o.subjects != nil || o.disk == "" }

// document is the file whose figures the new ones are compared with.
func (o *options) document() string {
	if o.out == toStdout {
		return defaultDocument
	}
	return o.out
}

// wants says whether a row is to be measured on a backing.
func (o *options) wants(backing, title string) bool {
	return o.rows == nil || o.rows.MatchString(backing+": "+title)
}

func (o *options) wantsSubject(name string) bool {
	return o.subjects == nil || slices.Contains(o.subjects, name)
}

func checkSubjects(names []string) error {
	for _, name := range names {
		if !slices.Contains(subjectNames(), name) {
			return fmt.Errorf("--subjects: there is no %q, only %s", name, strings.Join(subjectNames(), ","))
		}
	}
	return nil
}

// defaultDisk is below the user's cache directory: unlike TMPDIR it is hardly
// ever a tmpfs.
func defaultDisk() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "clonefs-bench")
	}
	return filepath.Join(cache, "clonefs", "bench")
}

// minSize leaves room for the data behind an image's first MiB.
const minSize = 16 * mib

const mib = 1 << 20

// parseSize takes whole MiB, which fio and qemu-img need.
func parseSize(text string) (int64, error) {
	units := map[string]int64{"M": mib, "G": 1024 * mib}
	digits := text[:max(0, len(text)-1)]
	unit := units[text[len(digits):]] // without one it is 0, and the size too small
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n*unit < minSize {
		return 0, fmt.Errorf("--size=%s: want MiB or GiB, as 512M or 2G, and %dM at least", text, minSize/mib)
	}
	return n * unit, nil
}
