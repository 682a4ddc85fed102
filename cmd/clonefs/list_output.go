package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/clonefs/clonefs/vdi"
)

func (l *listing) writeJSON(w io.Writer) error {
	// Lists that are never null are easier on those who read them.
	if l.Images == nil {
		l.Images = []listedImage{}
	}
	if l.Errors == nil {
		l.Errors = []string{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(l)
}

func (l *listing) writeTable(w io.Writer) error {
	if len(l.Images) == 0 {
		_, err := fmt.Fprintf(w, "no images in %s (%s)\n", l.Source, count(l.volumes, "volume"))
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) } // Flush returns the error
	row("VOLUME", "IMAGE", "VERSION", "TYPE", "CAPACITY", "STORED UUID", "PRESENTED UUID")
	for _, image := range l.Images {
		presented := image.Presented.String()
		if image.Duplicate {
			presented += " !"
		}
		row(printable(image.Volume), printable(image.Image), image.Version, image.Type,
			formatBytes(image.Capacity), image.Stored.String(), presented)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return l.writeDuplicates(w)
}

// writeDuplicates says which images the marks in the table belong together.
func (l *listing) writeDuplicates(w io.Writer) error {
	paths := map[vdi.UUID][]string{}
	for _, image := range l.Images {
		if image.Duplicate {
			paths[image.Presented] = append(paths[image.Presented], printable(image.path()))
		}
	}
	for _, image := range l.Images {
		same := paths[image.Presented]
		delete(paths, image.Presented)
		if len(same) == 0 {
			continue
		}
		_, err := fmt.Fprintf(w, "\n! VirtualBox takes only one of these, which have the UUID %s:\n  %s\n",
			image.Presented, strings.Join(same, "\n  "))
		if err != nil {
			return err
		}
	}
	return nil
}

// printable quotes a name that would disturb the table or the terminal.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return fmt.Sprintf("%q", name)
	}
	return name
}

// formatBytes writes a size with a binary unit and at most one decimal.
func formatBytes(size uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, unit := float64(size), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + units[unit]
}

// count writes a number with its noun: "1 volume", "3 volumes".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
