//go:build linux

package vbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// The buses that a machine's disk controller may have.
const (
	SATA = "sata" // the host's cache is bypassed: O_DIRECT and Linux AIO
	IDE  = "ide"  // through the host's cache
)

const controller = "disks"

// A Machine is a VM with one disk controller. Its methods fail the test when
// they cannot do what they say.
type Machine struct {
	Name string
	s    *Session
	dir  string
}

// NewMachine makes and registers a VM with a controller of this bus.
func (s *Session) NewMachine(name, bus string) *Machine {
	s.t.Helper()
	m := s.Machine(name)
	s.Manage("createvm", "--name", name, "--ostype", "Other", "--register", "--basefolder", filepath.Dir(m.dir))
	// VirtualBox's own defaults, said aloud because tests rely on them.
	cache := map[string]string{SATA: "off", IDE: "on"}[bus]
	s.Manage("storagectl", name, "--name", controller, "--add", bus, "--hostiocache", cache)
	return m
}

// Machine returns the VM of this name that NewMachine made.
func (s *Session) Machine(name string) *Machine {
	return &Machine{Name: name, s: s, dir: filepath.Join(s.home, "vms", name)}
}

// Attach attaches the disk image at path, as the only disk, with these further
// options of VBoxManage storageattach.
func (m *Machine) Attach(path string, options ...string) {
	m.s.t.Helper()
	require.NoError(m.s.t, m.TryAttach(path, options...))
}

// TryAttach is Attach for images that may be refused.
func (m *Machine) TryAttach(path string, options ...string) error {
	_, err := m.s.TryManage(append([]string{"storageattach", m.Name, "--storagectl", controller,
		"--port", "0", "--device", "0", "--type", "hdd", "--medium", path}, options...)...)
	return err
}

// Detach detaches the disk.
func (m *Machine) Detach() {
	m.s.t.Helper()
	m.Attach("none")
}

// Set changes the machine's settings.
func (m *Machine) Set(settings ...string) {
	m.s.t.Helper()
	m.s.Manage(append([]string{"modifyvm", m.Name}, settings...)...)
}

// MakeSmall gives the machine what a boot sector needs and no more, and a serial
// port for SerialOutput.
func (m *Machine) MakeSmall() {
	m.s.t.Helper()
	m.Set("--cpus", "1", "--memory", "16", "--vram", "2", "--firmware", "bios",
		"--nic1", "none", "--audio-enabled", "off", "--usb", "off", "--paravirt-provider", "none",
		"--uart1", "0x3F8", "4", "--uartmode1", "file", m.serialFile(),
		"--boot1", "disk", "--boot2", "none", "--boot3", "none", "--boot4", "none",
		"--firmware-boot-menu", "disabled", "--firmware-logo-fade-in", "off",
		"--firmware-logo-fade-out", "off", "--firmware-logo-display-time", "0")
	if m.s.inst.Driverless() {
		m.Set("--vm-execution-engine", "interpreter")
	}
}

// Start starts the machine and returns when VirtualBox says that it runs.
func (m *Machine) Start() {
	m.s.t.Helper()
	_ = os.Remove(m.serialFile())
	m.s.Manage("startvm", m.Name, "--type", "headless")
}

// AwaitOff waits until the machine has switched itself off and its process has
// ended. After limit it fails the test, with the machine's log.
func (m *Machine) AwaitOff(limit time.Duration) {
	m.s.t.Helper()
	for deadline := time.Now().Add(limit); m.running(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.s.t.Fatalf("%s still runs after %v; it said %q\n%s", m.Name, limit, m.SerialOutput(), m.Log())
		}
	}
}

// running says whether the machine has a process.
func (m *Machine) running() bool {
	for _, pid := range m.s.processes() {
		args := processStrings(pid, "cmdline")
		if at := slices.Index(args, "--comment"); at >= 0 && at+1 < len(args) && args[at+1] == m.Name {
			return true
		}
	}
	return false
}

// SerialOutput returns the lines that the guest wrote to its serial port.
func (m *Machine) SerialOutput() []string {
	out, _ := os.ReadFile(m.serialFile())
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(out), "\r\n", "\n")), "\n")
}

// Log returns VBox.log of the last start.
func (m *Machine) Log() string {
	log, _ := os.ReadFile(filepath.Join(m.dir, "Logs", "VBox.log"))
	return string(log)
}

func (m *Machine) serialFile() string { return filepath.Join(m.s.home, m.Name+".serial") }
