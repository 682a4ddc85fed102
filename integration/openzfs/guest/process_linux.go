package guest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// endWithParent makes a command end when its context is done or this process
// ends, however it ends. A command gets a process group of its own, and is told
// with SIGTERM, so that it can end what it started.
func endWithParent(cmd *exec.Cmd) {
	// Linux sends the signal when the thread that started the command ends; a
	// thread that a goroutine stays locked to ends with the goroutine only.
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = waitDelay
}
