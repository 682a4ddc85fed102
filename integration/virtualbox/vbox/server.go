//go:build linux

package vbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// socketVariable, with the session's ID, is in the environment of every process
// of a session.
const socketVariable = "VBOX_IPC_SOCKETID="

// serverPatience is how long VBoxSVC may take to end.
const serverPatience = 30 * time.Second

// A server is the VBoxSVC of a session, while there is one, and a client that
// keeps it.
//
// After 5 s without a client VBoxSVC forgets the media that no VM has attached.
// VBoxManage's calls follow each other faster than that, but about one in a
// hundred of them has to wait 10 s until VBoxSVC answers: seen with 7.2.22, with
// and without a FUSE mount. The client, VirtualBox's watchdog, just stays.
type server struct {
	svc    *exec.Cmd
	client *exec.Cmd
}

// startServer starts VBoxSVC, if it does not run, and waits until it is ready.
func (s *Session) startServer() error {
	if s.server.svc != nil {
		return nil
	}
	ready, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	s.server.svc, err = s.background(pipe, "VBoxSVC", "--inherit-startup-pipe", "3")
	pipe.Close()
	if err != nil {
		return err
	}
	if said, err := bufio.NewReader(ready).ReadString('Y'); said != "READY" {
		return fmt.Errorf("VBoxSVC said %q instead of READY: %w", said, errors.Join(err, s.endServer()))
	}
	s.server.client, err = s.background(nil, "VBoxBalloonCtrl")
	return err
}

// background starts a program with this file, if any, as its descriptor 3.
func (s *Session) background(file *os.File, program string, args ...string) (*exec.Cmd, error) {
	cmd := s.inst.command(program, args...)
	cmd.Env = s.environment()
	if file != nil {
		cmd.ExtraFiles = []*os.File{file}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", program, err)
	}
	return cmd, nil
}

// StopServer ends VBoxSVC in good order. The next call of VBoxManage starts a
// new one, which knows only what was stored.
func (s *Session) StopServer() {
	s.t.Helper()
	require.NoError(s.t, s.endServer())
}

// endServer makes VBoxSVC end and returns what was wrong with that.
func (s *Session) endServer() error {
	client, svc := s.server.client, s.server.svc
	s.server.client, s.server.svc = nil, nil
	if client != nil {
		// It does not always end when asked to, and has nothing to lose.
		_ = client.Process.Kill()
		_ = client.Wait()
	}
	if svc == nil {
		return nil
	}
	killer := time.AfterFunc(serverPatience, func() { _ = svc.Process.Kill() })
	defer killer.Stop()
	if err := svc.Process.Signal(unix.SIGTERM); err != nil {
		return err
	}
	if err := svc.Wait(); err != nil {
		return fmt.Errorf("VBoxSVC: %w", err)
	}
	return nil
}

// killAll ends every process of the session.
func (s *Session) killAll() {
	for len(s.processes()) > 0 {
		for _, pid := range s.processes() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// processes returns the session's processes. One that has ended but was not
// waited for has no environment any more, and is not among them.
func (s *Session) processes() []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if slices.Contains(processStrings(pid, "environ"), socketVariable+s.id) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// processStrings returns the strings of a process's "cmdline" or "environ", one
// empty string where the process has ended.
func processStrings(pid int, kind string) []string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, kind))
	return strings.Split(string(data), "\x00")
}
