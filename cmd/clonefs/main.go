// Command clonefs mirrors a tree of disk image clones under a mount point and
// presents every VirtualBox image in it with a UUID of its own.
//
// This package has the flags, the wiring and the output; package fs has the
// file system.
package main

import (
	"io"
	"os"
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

// run runs the program with the command line argv, whose first element is the
// name that it was called by, and returns its exit status.
func run(argv []string, stdout, stderr io.Writer) int {
	call := parseInvocation(argv)
	started := false
	root := newRootCommand(&started)
	root.SetArgs(call.args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteC()
	if err != nil && !started {
		err = usageError{err}
	}
	printError(stderr, command, err)
	return call.exitStatus(err)
}
