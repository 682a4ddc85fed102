//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a mount may take to answer or to end.
const patience = 15 * time.Second

// command runs a program to its end and returns what it writes to standard
// output. It is told to end when ctx is done.
func command(ctx context.Context, argv ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	// fio killed outright would leave its jobs behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// A daemon is a process that serves a mount.
type daemon struct {
	mountpoint string
	pid        int // of what was started; xmount goes on in another process
	log        *os.File
}

// startDaemon runs a command that mounts, and returns when the mount answers.
func startDaemon(ctx context.Context, mountpoint string, argv []string) (*daemon, error) {
	if err := os.MkdirAll(mountpoint, 0o755); err != nil {
		return nil, err
	}
	// A file, since what goes on in the background keeps a pipe open.
	log, err := os.Create(mountpoint + ".log")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	// Of its own group, so that Ctrl-C reaches it when we say so.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	d := &daemon{mountpoint: mountpoint, pid: cmd.Process.Pid, log: log}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := d.awaitAnswer(ctx, ended); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, d.output()), d.end())
	}
	return d, nil
}

// awaitAnswer waits until the mount point is a FUSE file system that answers. A
// program that ends well before may have gone to the background.
func (d *daemon) awaitAnswer(ctx context.Context, ended <-chan error) error {
	deadline := time.After(patience)
	for !d.answers() {
		select {
		case err := <-ended:
			if err != nil {
				return err
			}
			ended = nil
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("no mount after %v", patience)
		}
	}
	return nil
}

func (d *daemon) answers() bool {
	var st unix.Statfs_t
	return unix.Statfs(d.mountpoint, &st) == nil && st.Type == unix.FUSE_SUPER_MAGIC
}

// output is what the daemon has written so far.
func (d *daemon) output() string {
	content, _ := os.ReadFile(d.log.Name())
	return strings.TrimSpace(string(content))
}

// end unmounts and sees to it that no process serves the mount any more.
func (d *daemon) end() error {
	defer d.log.Close()
	if err := unmount(d.mountpoint); err != nil {
		return err
	}
	for _, sig := range []syscall.Signal{0, syscall.SIGTERM, syscall.SIGKILL} {
		for _, pid := range serving(d.mountpoint) {
			_ = syscall.Kill(pid, sig)
		}
		if poll(2*time.Second, func() bool { return len(serving(d.mountpoint)) == 0 }) {
			return nil
		}
	}
	return fmt.Errorf("a process goes on after %s is unmounted: %v", d.mountpoint, serving(d.mountpoint))
}

// unmount takes away what is mounted at a directory, if anything is. Busy it is
// for a moment only: nobody but this program uses it.
func unmount(dir string) error {
	var err error
	done := poll(2*time.Second, func() bool {
		err = unix.Unmount(dir, 0)
		return !errors.Is(err, unix.EBUSY)
	})
	if !done {
		err = unix.Unmount(dir, unix.MNT_DETACH)
	}
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // it was no mount point
	}
	return fmt.Errorf("unmount %s: %w", dir, err)
}

// serving returns the processes that have the mount point among their arguments.
// Its name is this program's alone.
func serving(mountpoint string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		content, _ := os.ReadFile(file)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && slices.Contains(strings.Split(string(content), "\x00"), mountpoint) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// poll asks until the answer is yes or the time is over.
func poll(limit time.Duration, yes func() bool) bool {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if yes() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
