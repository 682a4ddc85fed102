package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/clonefs/clonefs/vdi"
)

// A demoRow is an image in a table of the demo.
type demoRow struct {
	name string
	uuid vdi.UUID
	sum  string
}

// storedRows returns the golden image and the clones as they are stored.
func (d *demo) storedRows() ([]demoRow, error) {
	return d.rows(append([]string{d.goldenPath()}, d.clonePaths(d.source())...), d.source())
}

// mountedRows returns the clones as they are on the mount.
func (d *demo) mountedRows() ([]demoRow, error) {
	return d.rows(d.clonePaths(d.mountpoint()), d.mountpoint())
}

func (d *demo) rows(paths []string, base string) ([]demoRow, error) {
	var rows []demoRow
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		header, err := vdi.Parse(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, base+"/"), filepath.Dir(base)+"/")
		sum := sha256.Sum256(content)
		rows = append(rows, demoRow{name, header.Create, fmt.Sprintf("%x…", sum[:8])})
	}
	return rows, nil
}

func (d *demo) table(rows []demoRow) error {
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	line := func(name, uuid, sum string) { _, _ = fmt.Fprintf(table, "  %s\t%s\t%s\n", name, uuid, sum) } // Flush returns the error
	line("IMAGE", "UUID", "SHA-256")
	for _, row := range rows {
		line(row.name, row.uuid.String(), row.sum)
	}
	err := table.Flush()
	d.say("")
	return err
}

// checkPresented makes the demo fail if two disks have one UUID.
func (d *demo) checkPresented(rows []demoRow) error {
	seen := map[vdi.UUID]bool{d.golden.uuid: true}
	for _, row := range rows {
		if seen[row.uuid] {
			return fmt.Errorf("%s is presented with a UUID that another image has: this is a bug of clonefs", row.name)
		}
		seen[row.uuid] = true
	}
	return nil
}

// checkStored makes the demo fail if a stored UUID has changed.
func (d *demo) checkStored(rows []demoRow) error {
	var errs []error
	for _, row := range rows {
		if row.uuid != d.golden.uuid {
			errs = append(errs, fmt.Errorf("the stored UUID of %s has changed: this is a bug of clonefs", row.name))
		}
	}
	return errors.Join(errs...)
}
