package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	demoVM         = "clonefs-demo"
	demoController = "disks"

	// vboxPatience bounds one call of VBoxManage. The first starts VBoxSVC.
	vboxPatience = time.Minute
)

// virtualBox is a VirtualBox with a registry of its own: its VBoxSVC knows no
// VM and no disk of the user, and leaves nothing in the user's settings.
type virtualBox struct {
	program string
	dir     string
	// socket is VBOX_IPC_SOCKETID, which keeps this VBoxSVC apart from others.
	socket string
}

// findVirtualBox returns the VirtualBox that program controls. Without a name
// it looks for VBoxManage, and returns nil if there is none.
func findVirtualBox(program string) (*virtualBox, error) {
	if program != "" {
		path, err := exec.LookPath(program)
		return newVirtualBox(path), err
	}
	if path, err := exec.LookPath("VBoxManage"); err == nil {
		return newVirtualBox(path), nil
	}
	return nil, nil
}

func newVirtualBox(program string) *virtualBox {
	return &virtualBox{program: program, socket: "clonefs-demo-" + strconv.Itoa(os.Getpid())}
}

// start makes a VM with a disk controller; dir is for all that VirtualBox
// writes.
func (v *virtualBox) start(dir string) error {
	v.dir = filepath.Join(dir, "virtualbox")
	return errors.Join(
		v.manage("createvm", "--name", demoVM, "--basefolder", filepath.Join(v.dir, "machines"), "--register"),
		v.manage("storagectl", demoVM, "--name", demoController, "--add", "sata", "--portcount", "4"),
	)
}

// showRefusal attaches two clones of one image and returns what VirtualBox has
// against the second.
func (v *virtualBox) showRefusal(paths []string) (string, error) {
	if err := v.attach(paths[:1]); err != nil {
		return "", err
	}
	err := v.attachAt(1, paths[1])
	var refused *vboxError
	if !errors.As(err, &refused) {
		return "", errors.Join(errors.New("VirtualBox took two images with one UUID"), err)
	}
	return refused.firstLine(), errors.Join(v.attachAt(0, "none"), v.manage("closemedium", "disk", paths[0]))
}

// attach makes the images the disks of the VM.
func (v *virtualBox) attach(paths []string) error {
	for port, path := range paths {
		if err := v.attachAt(port, path); err != nil {
			return err
		}
	}
	return nil
}

func (v *virtualBox) attachAt(port int, medium string) error {
	return v.manage("storageattach", demoVM, "--storagectl", demoController,
		"--port", strconv.Itoa(port), "--device", "0", "--type", "hdd", "--medium", medium)
}

// manage calls VBoxManage. Ctrl-C is not for it: the demo ends in order.
func (v *virtualBox) manage(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), vboxPatience)
	defer cancel()
	command := exec.CommandContext(ctx, v.program, args...)
	command.Env = append(os.Environ(), "VBOX_USER_HOME="+v.dir, "VBOX_IPC_SOCKETID="+v.socket)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// VBoxSVC inherits the output of the first call, and outlives it.
	command.WaitDelay = time.Second
	output, err := command.CombinedOutput()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return &vboxError{args[0], string(output), err}
	}
	return nil
}

// vboxError is a call of VBoxManage that failed.
type vboxError struct {
	command, output string
	err             error
}

func (e *vboxError) Error() string {
	return fmt.Sprintf("VBoxManage %s: %s: %v", e.command, e.firstLine(), e.err)
}

func (e *vboxError) Unwrap() error { return e.err }

// firstLine returns the first line of output that says what is wrong.
func (e *vboxError) firstLine() string {
	for line := range strings.Lines(e.output) {
		if strings.Contains(line, "error:") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(e.output)
}

// end ends our VBoxSVC and removes its socket, which VirtualBox leaves in /tmp.
func (v *virtualBox) end() error {
	if v.dir == "" {
		return nil // it was not started
	}
	if err := v.endServers(); err != nil {
		return err
	}
	return os.RemoveAll("/tmp/.vbox-" + v.socket + "-ipc")
}
