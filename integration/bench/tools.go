//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

const goFuse = "github.com/hanwen/go-fuse/v2"

// tools are the programs that are measured and measured with.
type tools struct {
	clonefs  string
	fio      string // its path, by which clonefs knows it
	loopback string
	native   bool // clonefs has --native-io
}

// noted is an error with a word for the table.
type noted struct {
	note string
	err  error
}

func (n noted) Error() string { return n.err.Error() }
func (n noted) Unwrap() error { return n.err }

// note is what stands in the table instead of a figure.
func note(err error) string {
	var n noted
	if errors.As(err, &n) {
		return n.note
	}
	return "failed"
}

// findTools looks for the programs, and builds go-fuse's example into dir.
func findTools(ctx context.Context, opts options, dir string) (t tools, err error) {
	if t.clonefs, err = filepath.Abs(opts.clonefs); err != nil {
		return t, err
	}
	help, err := command(ctx, t.clonefs, "mount", "--help")
	if err != nil {
		return t, fmt.Errorf("%w; build it with: make build", err)
	}
	t.native = strings.Contains(help, "--native-io")
	for _, name := range []string{"fio", "qemu-img"} {
		if _, err := exec.LookPath(name); err != nil {
			return t, err
		}
	}
	if t.fio, err = resolve("fio"); err != nil {
		return t, err
	}
	if opts.wantsSubject(loopback) {
		t.loopback = filepath.Join(dir, loopback)
		_, err = command(ctx, "go", "build", "-o", t.loopback, goFuse+"/example/loopback")
	}
	return t, err
}

// resolve returns the path of a program's file, as /proc/PID/exe has it.
func resolve(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// missing says why a subject cannot be mounted here.
func (t tools) missing(name string) error {
	switch name {
	case nativeIO:
		if !t.native {
			return noted{"no such flag", errors.New("this clonefs has no --native-io")}
		}
	case bindfs, xmount:
		if _, err := exec.LookPath(name); err != nil {
			return noted{"not installed", err}
		}
	}
	return nil
}
