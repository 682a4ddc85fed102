//go:build linux

package container

import (
	"bytes"
	"fmt"
	"strings"
)

// TryRun is Run for commands that may fail. The error carries what the command
// wrote to standard error.
func (c *Container) TryRun(name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := c.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
