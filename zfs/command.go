package zfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A Command is the zfs program.
type Command struct {
	// Path is the program's file.
	Path string
}

// FindCommand finds the zfs program. It returns an error matching ErrNoProgram
// where there is none.
func FindCommand() (Command, error) {
	// Where it lies is often not in the PATH of users other than root.
	for _, name := range []string{"zfs", "/usr/sbin/zfs", "/sbin/zfs", "/usr/local/sbin/zfs"} {
		if path, err := exec.LookPath(name); err == nil {
			return Command{Path: path}, nil
		}
	}
	return Command{}, ErrNoProgram
}

// killedWait is how long the output of a killed zfs is waited for.
const killedWait = time.Second

// run runs zfs and returns its standard output. It returns an *Error, and beside
// it what zfs wrote before it failed. The datasets are what the command is about.
//
// A zfs that hangs in the kernel cannot be killed, and run does not return then.
func (c Command) run(ctx context.Context, datasets []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.Path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = killedWait
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err == nil {
		return stdout.String(), nil
	}
	failure := &Error{Args: args, Stderr: strings.TrimSuffix(stderr.String(), "\n"), Err: err}
	failure.Kind = classify(failure.Stderr, datasets...)
	switch {
	case ctx.Err() != nil:
		failure.Err = ctx.Err()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			failure.Kind = ErrTimeout
		}
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		failure.Kind = fmt.Errorf("%w (tried %s)", ErrNoProgram, c.Path)
	}
	return stdout.String(), failure
}
