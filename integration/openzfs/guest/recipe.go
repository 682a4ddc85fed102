package guest

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// recipe builds what the guest consists of. It is carried in the program, so that
// a test binary needs no checkout beside it.
//
//go:embed recipe init
var recipe embed.FS

// build returns the directory with the guest's kernel and base, which it makes
// where there is none yet.
func build(ctx context.Context) (string, error) {
	dir, err := follow(ctx, "build.sh")
	if err != nil {
		return "", fmt.Errorf("building the guest that has OpenZFS: %w", err)
	}
	return dir, nil
}

// BuildModule compiles a kernel module for the guest's kernel, where that has not
// been done yet, and returns the path of its .ko file. The module's source is the
// directory of its name in the directory source, with a Makefile for the kernel's
// build system.
func BuildModule(ctx context.Context, source, name string) (string, error) {
	base, err := build(ctx)
	if err != nil {
		return "", err
	}
	file, err := follow(ctx, "module.sh", base, source, name)
	if err != nil {
		return "", fmt.Errorf("compiling %s for the guest's kernel: %w", filepath.Join(source, name), err)
	}
	return file, nil
}

// follow runs a script of the recipe and returns what it printed.
func follow(ctx context.Context, script string, args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "openzfs-recipe-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.CopyFS(dir, recipe); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "bash", append([]string{filepath.Join(dir, "recipe", script)}, args...)...)
	cmd.Stderr = os.Stderr
	endWithParent(cmd)
	out, err := cmd.Output()
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}
