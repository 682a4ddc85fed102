package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInvocation(t *testing.T) {
	for name, c := range map[string]struct {
		argv   []string
		args   []string
		helper bool
	}{
		"a command is left alone":             {[]string{"clonefs", "mount", "tank", "/mnt"}, []string{"mount", "tank", "/mnt"}, false},
		"no arguments are left alone":         {[]string{"clonefs"}, []string{}, false},
		"mount.fuse3 names no command":        {[]string{"clonefs", "tank/ci", "/mnt", "-o", "rw,nosuid"}, []string{"mount", "tank/ci", "/mnt", "-o", "rw,nosuid"}, true},
		"mount.fuse3 may give no options":     {[]string{"/usr/bin/clonefs", "dir:/srv", "/mnt"}, []string{"mount", "dir:/srv", "/mnt"}, true},
		"a pool may be called demo":           {[]string{"clonefs", "demo", "/mnt", "-o", "rw"}, []string{"mount", "demo", "/mnt", "-o", "rw"}, true},
		"the command mount stays a command":   {[]string{"clonefs", "mount", "/srv", "-o", "rw"}, []string{"mount", "/srv", "-o", "rw"}, false},
		"a mistyped command is not a source":  {[]string{"clonefs", "moutn", "/srv", "/mnt"}, []string{"moutn", "/srv", "/mnt"}, false},
		"a flag is not a source":              {[]string{"clonefs", "--version", "/mnt"}, []string{"--version", "/mnt"}, false},
		"unmount of a path stays a command":   {[]string{"clonefs", "unmount", "/mnt"}, []string{"unmount", "/mnt"}, false},
		"completion stays a command":          {[]string{"clonefs", "__complete", "/mnt"}, []string{"__complete", "/mnt"}, false},
		"the helper of mount(8)":              {[]string{"/sbin/mount.clonefs", "tank", "/mnt", "-o", "rw"}, []string{"mount", "--quiet", "tank", "/mnt", "-o", "rw"}, true},
		"the helper's switches":               {[]string{"mount.fuse.clonefs", "tank", "/mnt", "-sn", "-v", "-f", "-t", "fuse.clonefs"}, []string{"mount", "--quiet", "tank", "/mnt", "--sloppy", "--quiet=false", "--fake"}, true},
		"an unknown switch is left to mount":  {[]string{"mount.clonefs", "tank", "/mnt", "-N", "5"}, []string{"mount", "--quiet", "tank", "/mnt", "-N", "5"}, true},
		"an option without a value is passed": {[]string{"mount.clonefs", "tank", "/mnt", "-o"}, []string{"mount", "--quiet", "tank", "/mnt", "-o"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, invocation{args: c.args, helper: c.helper}, parseInvocation(c.argv))
		})
	}
}

func TestEveryCommandIsKnownToTheInvocation(t *testing.T) {
	root := newRootCommand(new(bool))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, command := range root.Commands() {
		for _, name := range append(command.Aliases, command.Name()) {
			require.True(t, isCommand(name), name)
		}
	}
}

func TestExitStatus(t *testing.T) {
	failed, busy, usage := errors.New("no"), statusError{errors.New("busy"), exitBusy}, usageError{errors.New("what?")}
	for name, c := range map[string]struct {
		err            error
		status, helper int
	}{
		"success":       {nil, 0, 0},
		"failure":       {failed, 1, 32},
		"busy":          {busy, 3, 32},
		"usage":         {usage, 2, 1},
		"daemon's word": {statusError{errors.New("what?"), exitUsage}, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.status, invocation{}.exitStatus(c.err))
			require.Equal(t, c.helper, invocation{helper: true}.exitStatus(c.err), "as mount(8) knows it")
		})
	}
}
