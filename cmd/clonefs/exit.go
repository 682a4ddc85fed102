package main

// Rules of the output: results go to standard output, everything else to
// standard error; messages begin with "clonefs: ", in lower case, without a
// full stop, and say what the user can do.

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit statuses; exitHelp is their manual.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitBusy   = 3

	exitHelp = `Exit status:
  0  done
  1  it did not work; standard error says why
  2  the command line is wrong
  3  the mount or the clone is in use, and stays
`
)

// Exit statuses of a mount helper; see mount(8), "EXIT STATUS".
const (
	exitMountUsage  = 1
	exitMountFailed = 32
)

// usageError is an error of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// statusError is an error whose exit status was decided elsewhere.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// errReported fails the program after it has said everything.
var errReported = errors.New("see above")

func exitStatus(err error) int {
	var usage usageError
	var decided statusError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &decided):
		return decided.status
	}
	return exitFailed
}

func printError(stderr io.Writer, command *cobra.Command, err error) {
	if err == nil || errors.Is(err, errReported) {
		return
	}
	printLine(stderr, err.Error())
	var usage usageError
	if errors.As(err, &usage) {
		printLine(stderr, fmt.Sprintf("see `%s --help`", command.CommandPath()))
	}
}

// printLine tells the user something that is not a result. What it cannot
// write has nowhere else to go.
func printLine(stderr io.Writer, line string) { _, _ = fmt.Fprintln(stderr, "clonefs: "+line) }
