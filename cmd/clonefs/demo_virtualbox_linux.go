package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// endServers ends VBoxSVC and what belongs to it: our processes with our socket
// in their environment.
func (v *virtualBox) endServers() error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		servers, err := v.servers()
		if err != nil || len(servers) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("VBoxSVC does not end: processes %v", servers)
		}
		for _, pid := range servers {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end VBoxSVC (process %d): %w", pid, err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (v *virtualBox) servers() ([]int, error) {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, path := range environments {
		variables, _ := os.ReadFile(path) // other users' cannot be read
		if !bytes.Contains(append([]byte{0}, variables...), []byte("\x00VBOX_IPC_SOCKETID="+v.socket+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}
