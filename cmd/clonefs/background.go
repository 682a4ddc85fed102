package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// readyVariable names the descriptor on which a daemon reports to the process
// that started it.
const readyVariable = "CLONEFS_READY_FD"

// report is what a daemon says when its mount answers, or why it does not.
type report struct {
	// Line is for standard output.
	Line string `json:"line,omitempty"`
	// Error is the reason to give up, and Status the exit status for it.
	Error  string `json:"error,omitempty"`
	Status int    `json:"status,omitempty"`
}

// startDaemon runs this very command again in a session of its own, and returns
// what it reports. The daemon writes to our standard error until then, so that
// the user sees what helpers such as fusermount3 have to say.
func startDaemon(ctx context.Context) (report, error) {
	ctx, stop := untilSignal(ctx)
	defer stop()
	forgetInherited()
	read, write, err := os.Pipe()
	if err != nil {
		return report{}, err
	}
	defer read.Close() //nolint:errcheck // it was only read
	daemon, err := daemonCommand(write)
	if err == nil {
		err = daemon.Start()
	}
	_ = write.Close() // the daemon has its own
	if err != nil {
		return report{}, fmt.Errorf("start the daemon: %w", err)
	}
	// A daemon that is told to end before its mount is there just ends.
	defer context.AfterFunc(ctx, func() { _ = daemon.Process.Signal(syscall.SIGTERM) })()
	return awaitReport(read, daemon)
}

func daemonCommand(ready *os.File) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path:        program,
		Args:        os.Args,
		Env:         append(os.Environ(), readyVariable+"=3"),
		Stderr:      os.Stderr,
		ExtraFiles:  []*os.File{ready},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}, nil
}

func awaitReport(ready io.Reader, daemon *exec.Cmd) (report, error) {
	var r report
	if err := json.NewDecoder(ready).Decode(&r); err != nil {
		return r, fmt.Errorf("the daemon ended before its mount answered: %w", errors.Join(daemon.Wait(), ignoreEOF(err)))
	}
	if r.Error != "" {
		_ = daemon.Wait() // it has said why it fails
		return r, statusError{errors.New(r.Error), r.Status}
	}
	return r, daemon.Process.Release()
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// isDaemon says whether this process was started by startDaemon. After readyPipe
// it says no.
func isDaemon() bool {
	_, is := os.LookupEnv(readyVariable)
	return is
}

// readyPipe returns the pipe to report on, nil in a process that was not
// started by startDaemon. It hides the pipe from programs that are started
// from here, which would hold it open.
func readyPipe() (*os.File, error) {
	value, isDaemon := os.LookupEnv(readyVariable)
	if !isDaemon {
		return nil, nil
	}
	descriptor, err := strconv.Atoi(value)
	if err != nil {
		return nil, fmt.Errorf("%s is %q, not a descriptor", readyVariable, value)
	}
	syscall.CloseOnExec(descriptor)
	return os.NewFile(uintptr(descriptor), "ready"), os.Unsetenv(readyVariable)
}

// send reports. It fails when the process that wants to know is gone.
func (r report) send(ready *os.File) error {
	return errors.Join(json.NewEncoder(ready).Encode(r), ready.Close())
}
