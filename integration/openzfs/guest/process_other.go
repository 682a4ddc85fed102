//go:build !linux

package guest

import "os/exec"

// endWithParent makes a command end when its context is done.
func endWithParent(cmd *exec.Cmd) { cmd.WaitDelay = waitDelay }
