//go:build linux

// Package vbox drives a real VirtualBox from tests: the machine's own, or one in
// a chroot that setup.sh makes. It expects to run in the namespaces of package
// namespace, or in a virtual machine of its own.
package vbox

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

//go:embed setup.sh
var setupScript []byte

// An Installation is a VirtualBox and the place where it lies.
type Installation struct {
	// root is the chroot; empty for the machine's own VirtualBox.
	root string
	// programs is the directory of VBoxManage and VBoxSVC, as seen from root.
	programs string
	// driverless is set where VMs run without VirtualBox's kernel module.
	driverless bool
}

// ForImages returns the VirtualBox for everything but running VMs: the one on
// this machine's PATH, or else the one in the chroot.
func ForImages() (Installation, error) {
	if dir, ok := programsOnPath(); ok {
		return Installation{programs: dir}, nil
	}
	return inChroot()
}

// ForMachines returns a VirtualBox that can run VMs: the machine's own where its
// kernel module is loaded, or else the one in the chroot, which needs none.
func ForMachines() (Installation, error) {
	if inst, ok := OnMachine(); ok {
		return inst, nil
	}
	return inChroot()
}

// OnMachine returns the machine's own VirtualBox, if there is one that can run
// VMs.
func OnMachine() (Installation, bool) {
	dir, ok := programsOnPath()
	return Installation{programs: dir}, ok && exists("/dev/vboxdrv")
}

// Driverless says whether VMs have to run without VirtualBox's kernel module.
func (i Installation) Driverless() bool { return i.driverless }

// command makes a command of one of VirtualBox's programs.
func (i Installation) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(i.programs, program), args...)
	cmd.Dir = "/"
	if i.root != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root}
	}
	return cmd
}

// programsOnPath returns the directory with VirtualBox's programs where
// VBoxManage is on the PATH. What is on the PATH is often a script that warns
// about the kernel module before it does anything; the program itself lies
// beside VBoxSVC.
func programsOnPath() (string, bool) {
	path, err := exec.LookPath("VBoxManage")
	if err != nil {
		return "", false
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	for _, dir := range []string{filepath.Dir(path), "/usr/lib/virtualbox", "/opt/VirtualBox"} {
		if exists(filepath.Join(dir, "VBoxSVC")) && exists(filepath.Join(dir, "VBoxManage")) {
			return dir, true
		}
	}
	return "", false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// inChroot has setup.sh make the chroot if there is none yet, and mounts into
// it what it needs. That happens once.
var inChroot = sync.OnceValues(func() (Installation, error) {
	root, err := Chroot()
	if err != nil {
		return Installation{}, err
	}
	if err := mountInto(root); err != nil {
		return Installation{}, fmt.Errorf("cannot prepare %s: %w", root, err)
	}
	return Installation{root: root, programs: "/usr/lib/virtualbox", driverless: true}, nil
})

// Chroot returns the directory of a Debian root with VirtualBox in it, which
// setup.sh makes if there is none yet. It must not be changed.
func Chroot() (string, error) { return setup() }

// InstallTools installs the programs that tests use beside VirtualBox, such as
// qemu-img and the assembler, where they are missing.
func InstallTools() error {
	_, err := setup("--tools")
	return err
}

// setup runs setup.sh and returns the last line that it prints.
func setup(args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "virtualbox-setup-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "setup.sh")
	if err := os.WriteFile(script, setupScript, 0o700); err != nil {
		return "", err
	}
	cmd := exec.Command("bash", append([]string{script}, args...)...)
	// Its progress is shown at once: the first run takes minutes.
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("setup.sh could not prepare VirtualBox, its last lines above say why: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}
