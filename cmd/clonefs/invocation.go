package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// An invocation is one call of the program.
type invocation struct {
	// args are what the commands are to see.
	args []string
	// helper says that mount(8) called, which knows other exit statuses.
	helper bool
}

// helperNames are what mount(8) looks for in /sbin for the types clonefs and
// fuse.clonefs.
var helperNames = []string{"mount.clonefs", "mount.fuse.clonefs"}

// parseInvocation translates the two ways in which mount(8) calls the program.
func parseInvocation(argv []string) invocation {
	if len(argv) == 0 {
		return invocation{}
	}
	args := argv[1:]
	switch {
	case slices.Contains(helperNames, filepath.Base(argv[0])):
		return invocation{args: append([]string{"mount"}, helperArgs(args)...), helper: true}
	case isBareMount(args):
		return invocation{args: append([]string{"mount"}, args...), helper: true}
	}
	return invocation{args: args}
}

// helperArgs translates the arguments of a mount helper into those of the
// command mount:
//
//	mount.clonefs SOURCE MOUNTPOINT [-sfnv] [-o OPTIONS] [-t TYPE]
//
// See mount(8), "EXTERNAL HELPERS".
func helperArgs(args []string) []string {
	translated := []string{"--quiet"}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-o" && i+1 < len(args):
			translated = append(translated, "-o", args[i+1])
			i++
		case args[i] == "-t" && i+1 < len(args):
			i++
		case isHelperSwitch(args[i]):
			translated = append(translated, helperSwitches(args[i])...)
		default:
			translated = append(translated, args[i])
		}
	}
	return translated
}

func isHelperSwitch(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && strings.Trim(arg[1:], "sfnv") == ""
}

func helperSwitches(arg string) []string {
	var flags []string
	for _, letter := range arg[1:] {
		switch letter {
		case 's':
			flags = append(flags, "--sloppy")
		case 'f':
			flags = append(flags, "--fake")
		case 'v':
			flags = append(flags, "--quiet=false")
		case 'n': // no /etc/mtab is written anyway
		}
	}
	return flags
}

// isBareMount says whether mount.fuse3(8) called, which knows no commands:
//
//	clonefs SOURCE MOUNTPOINT [-o OPTIONS]
//
// A source that is called like a command is recognised by the options.
func isBareMount(args []string) bool {
	if len(args) < 2 || strings.HasPrefix(args[0], "-") || !filepath.IsAbs(args[1]) {
		return false
	}
	withOptions := len(args) == 4 && args[2] == "-o"
	if isCommand(args[0]) {
		return withOptions && args[0] != "mount"
	}
	return withOptions || len(args) == 2
}

// isCommand says whether the program has a command of this name. The names
// that begin with two underscores are cobra's, for completion.
func isCommand(name string) bool {
	return strings.HasPrefix(name, "__") || slices.Contains(
		[]string{"mount", "unmount", "umount", "ls", "clone", "destroy", "demo", "version", "completion", "help"}, name)
}

// exitStatus returns the exit status for err in the terms of the caller.
func (i invocation) exitStatus(err error) int {
	status := exitStatus(err)
	var usage usageError
	switch {
	case !i.helper || status == exitDone:
		return status
	case errors.As(err, &usage) || status == exitUsage:
		return exitMountUsage
	}
	return exitMountFailed
}
