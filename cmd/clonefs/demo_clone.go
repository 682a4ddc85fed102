package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/golden"
)

// makeClones makes the golden image and its clones, and says by what means.
func (d *demo) makeClones() (means string, err error) {
	if err := golden.Write(d.goldenPath(), "This is the disk of the clonefs demo.\n"); err != nil {
		return "", err
	}
	for _, path := range d.clonePaths(d.source()) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if means, err = cloneFile(d.goldenPath(), path); err != nil {
			return "", err
		}
	}
	return means, nil
}

// cloneFile makes a file that shares its blocks with another where the file
// system can do that, or else a copy, and says which.
func cloneFile(from, to string) (means string, err error) {
	source, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer source.Close() //nolint:errcheck // it was only read
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	means = "reflinks, which share its blocks"
	if err := reflink(target, source); err != nil {
		means = "copies (this file system has no reflinks)"
		if _, err := io.Copy(target, source); err != nil {
			return "", errors.Join(err, target.Close())
		}
	}
	return means, target.Close()
}
