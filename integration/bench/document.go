//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// A document is docs/benchmarks.md.
type document struct {
	intro    string // written by hand; ends with the marker's line
	facts    []fact
	sections []section
}

// A fact is something that the figures depend on.
type fact struct{ name, value string }

// marker ends the part that is written by hand.
const marker = "<!-- Written by make bench from here on; what stands above is kept. -->\n"

const defaultIntro = `# How fast clonefs is

` + "`make bench`" + ` measures clonefs beside the file itself (raw) and beside other
mirrors: bindfs, the loopback example of go-fuse, which clonefs is built on, and
xmount, which shows one image as another one, to be read. native-io is clonefs
where it lets fio's reads and writes past itself, to the stored image.

` + marker

const legend = `Every row is measured in rounds, in each of them every subject once. A figure is
the median of the rounds. A ratio, as clonefs/raw, is made within a round, and of
those the median stands here; above 1 is faster, also where the figure is a time.
What is wished stands beside it, and what is not reached is bold. The columns say
"-" where nothing is measured. The many volumes have one small image each; rows that
go through them, and those of cp and qemu-img, begin with nothing cached in the kernel.
`

// explanations stand below the tables.
var explanations = map[string]string{
	tmpfs:    "The images lie in memory: this shows what a mirror itself costs.\n",
	reflinks: "Btrfs on a loop device in memory: files can share their blocks.\n",
	disk: "The images lie on this machine's disk. With O_DIRECT only the raw file and what the\n" +
		"kernel passes through reach the disk before they answer: mirrors open it without.\n",
	scale: "A directory of many volumes as the source, on a tmpfs.\n",
}

// readDocument reads what there is already. A file that lacks the marker would be
// lost, so that is an error; none at all is not.
func readDocument(path string) (document, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return document{intro: defaultIntro}, nil
	}
	if err != nil {
		return document{}, err
	}
	doc, err := parseDocument(string(content))
	if err != nil {
		return doc, fmt.Errorf("%s: %w", path, err)
	}
	return doc, nil
}

// parseDocument takes the parts that the next one needs: not the facts.
func parseDocument(text string) (document, error) {
	intro, measured, found := strings.Cut(text, marker)
	if !found {
		return document{}, fmt.Errorf("it has no line %q, so all of it is kept and nothing can be written", strings.TrimSpace(marker))
	}
	return document{intro: intro + marker, sections: parseSections(measured)}, nil
}

// incomplete says that a table is missing.
func (d document) incomplete() error {
	var errs []error
	for _, s := range d.sections {
		if s.failure != "" {
			errs = append(errs, fmt.Errorf("%s is not measured: %s", s.title, s.failure))
		}
	}
	return errors.Join(errs...)
}

func (d document) String() string {
	var b strings.Builder
	b.WriteString(d.intro)
	b.WriteString("\n## Measured on\n\n| what | which |\n|---|---|\n")
	for _, f := range d.facts {
		writeRow(&b, []string{f.name, strings.ReplaceAll(f.value, "|", "\\|")})
	}
	b.WriteString("\n" + legend)
	for _, s := range d.sections {
		b.WriteString("\n" + s.String() + "\n" + explanations[s.title])
	}
	return b.String()
}
