//go:build linux

// Command bench measures how fast clonefs is beside the raw file and beside
// other mirrors, and writes what it found to docs/benchmarks.md:
//
//	make bench
//	make bench BENCH='--rounds=1 --runtime=1s --out=-'
//
// Run from the repository, as root, on a machine that does nothing else. It
// mounts file systems of its own, and ends and removes all that it made, also
// when it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	err := run()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	opts, err := parseOptions(os.Args[1:], os.Stderr)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("only root can mount the file systems to measure on, and drop caches: run it as root")
	}
	// Before half an hour of work: is there room for its result?
	before, err := readDocument(opts.document())
	if err != nil {
		return err
	}
	measured, err := measureAll(ctx, opts)
	if err != nil {
		return err
	}
	for _, line := range judge(before.sections, measured.sections) {
		fmt.Fprintln(os.Stderr, line)
	}
	measured.intro = before.intro
	return errors.Join(write(opts.out, measured), measured.incomplete())
}

// write puts the document where the user wants it.
func write(out string, doc document) error {
	if out == toStdout {
		_, err := os.Stdout.WriteString(doc.String())
		return err
	}
	if err := os.WriteFile(out, []byte(doc.String()), 0o644); err != nil {
		return fmt.Errorf("the figures are lost: %w", err)
	}
	return nil
}
