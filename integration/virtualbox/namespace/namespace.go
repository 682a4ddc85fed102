//go:build linux

// Package namespace runs a test binary in mount and process namespaces of its
// own, so that every process and every mount of a run is gone when the run
// ends, however it ends. Its temporary files go with them: in the namespaces
// os.TempDir, and so testing's T.TempDir, is a directory of the run's own.
//
// TestMain calls [Enter] first:
//
//	func TestMain(m *testing.M) {
//		namespace.Enter()
//		os.Exit(m.Run())
//	}
package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// stageVariable tells a process which of the three stages it is: the process
// that go test started (unset), the first process of the new namespaces
// ("init"), or the tests proper ("tests").
const stageVariable = "CLONEFS_NAMESPACE_STAGE"

// Enter returns in the tests proper only, which run in the new namespaces. In
// the process that go test started it does not return: it waits for the tests
// and exits with their status. It needs root.
func Enter() {
	switch os.Getenv(stageVariable) {
	case "tests":
		return
	case "init":
		exit(initialise())
	default:
		exit(outside())
	}
}

// outside starts this binary again as the first process of new namespaces.
func outside() (int, error) {
	// The kernel sends the death signal when the starting thread ends, so
	// the thread has to last as long as the process.
	runtime.LockOSThread()
	dir, err := os.MkdirTemp("", "clonefs-test-")
	if err != nil {
		return 1, err
	}
	// What the tests mounted below it is not mounted here, and gone anyway.
	defer os.RemoveAll(dir)
	// Interrupted, this process still has to remove the directory.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	cmd := again(ctx, "init")
	cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	return status(cmd.Run())
}

// initialise is the first process of the namespaces: it makes the mounts
// private, starts the tests and collects the processes that are left to it,
// such as daemons whose parent ended. When it ends, the kernel kills the rest.
func initialise() (int, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return 1, fmt.Errorf("cannot make the mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return 1, fmt.Errorf("cannot mount /proc: %w", err)
	}
	tests := again(context.Background(), "tests")
	if err := tests.Start(); err != nil {
		return 1, err
	}
	return reap(tests.Process.Pid)
}

// reap collects ended processes until the one of this pid has ended, and
// returns its exit status, 128 plus the signal's number if one ended it.
func reap(pid int) (int, error) {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1, fmt.Errorf("cannot wait for the tests: %w", err)
		case got == pid && ws.Signaled():
			return 128 + int(ws.Signal()), nil
		case got == pid:
			return ws.ExitStatus(), nil
		}
	}
}

// again is this very command in another stage, killed when ctx is done.
func again(ctx context.Context, stage string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVariable+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

func status(err error) (int, error) {
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return failed.ExitCode(), nil
	}
	return 0, err
}

func exit(code int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "namespace: cannot run the tests in namespaces of their own (are you root?):", err)
		code = 1
	}
	os.Exit(code)
}
