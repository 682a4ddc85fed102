// Package guest runs programs where there is ZFS: in a virtual machine whose
// kernel has OpenZFS in it, emulated by qemu, for machines whose own kernel has
// none. [Run] runs any program; [Main] is for a TestMain.
//
// The guest's root is its memory, with busybox, zfs and zpool in it; /tmp is a
// disk of its own that starts empty. Everything runs as root. Nothing of a guest
// is left when it ends.
package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options says what runs in a guest, and with what.
type Options struct {
	// Command is the program, a path or a name in the guest's PATH, and its
	// arguments.
	Command []string
	// Dir is the working directory, in the guest. The default is /root.
	Dir string
	// Env is added to the environment, each "NAME=value".
	Env []string
	// Files are copied into the guest's memory before it starts.
	Files []File
	// Disks are attached and mounted before the command starts.
	Disks []Disk
	// Processors is how many the guest has. One, the default, is emulated at least cost.
	Processors int
	// Memory is in MiB. The default is 3072.
	Memory int
	// Output takes what the command writes, standard error included.
	Output io.Writer
}

// A File is a file, or a directory with all that is in it, for the guest.
type File struct {
	From string // on this machine
	To   string // in the guest, absolute; a link there is followed
}

// A Disk is an image for the guest: of an ext4 file system that the guest mounts,
// or, where its place is below /dev, of anything: this is then the device's name.
type Disk struct {
	Image    string // on this machine
	Place    string // in the guest
	Writable bool   // writes go to the image; without, they are lost with the guest
	// Cached is a writable disk with a volatile cache, as real ones have: when the
	// power goes off, what the guest has not had flushed is not on it. The image
	// is a QCOW2 one; see [machine.drive].
	Cached bool
}

// scratchSize is the most that the guest can put on /tmp. The disk is sparse.
const scratchSize = 16 << 30

// ErrPowerOff is the cause with which a context is cancelled that a guest's power goes
// off by: it ends without a chance to write anything, nor has qemu one.
var ErrPowerOff = errors.New("the guest's power was switched off")

// Run runs a command in a new guest and returns its exit status. It returns an
// error when there is no status: the guest could not be made or started, it
// crashed, or ctx was done first (with ErrPowerOff, that). The first call on a machine builds what the guest
// consists of, which takes some ten minutes and tells its progress on this
// process's standard error.
func Run(ctx context.Context, opts Options) (status int, err error) {
	base, err := build(ctx)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "openzfs-guest-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	m := machine{
		kernel:    filepath.Join(base, "vmlinuz"),
		initramfs: filepath.Join(dir, "initramfs.cpio"),
		memory:    opts.Memory, processors: opts.Processors,
		status:  filepath.Join(dir, "status"),
		console: filepath.Join(dir, "console"),
	}
	if m.memory == 0 {
		m.memory = defaultMemory
	}
	scratch, err := makeScratch(ctx, dir)
	if err != nil {
		return 0, err
	}
	m.disks = append([]Disk{scratch}, opts.Disks...)
	if err := makeInitramfs(ctx, m, filepath.Join(base, "base.cpio"), opts); err != nil {
		return 0, fmt.Errorf("making the guest's initramfs: %w", err)
	}
	if err := m.run(ctx, opts.Output); err != nil {
		return 0, err
	}
	return m.exitStatus()
}

// makeScratch makes the disk that the guest has as /tmp.
func makeScratch(ctx context.Context, dir string) (Disk, error) {
	disk := Disk{Image: filepath.Join(dir, "scratch"), Place: "/tmp", Writable: true}
	if err := os.WriteFile(disk.Image, nil, 0o600); err != nil {
		return Disk{}, err
	}
	if err := os.Truncate(disk.Image, scratchSize); err != nil {
		return Disk{}, err
	}
	// Without a journal and with its tables left for later it takes no time.
	return disk, tool(ctx, "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0",
		"-E", "lazy_itable_init=1,nodiscard", disk.Image)
}

// run runs qemu until the guest is off.
func (m machine) run(ctx context.Context, output io.Writer) error {
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", m.arguments()...)
	var complaints bytes.Buffer
	// A writer that is no *os.File makes a pipe.
	qemu.Stdout, qemu.Stderr = struct{ io.Writer }{output}, &complaints
	endWithParent(qemu)
	end := qemu.Cancel
	qemu.Cancel = func() error {
		if errors.Is(context.Cause(ctx), ErrPowerOff) {
			return qemu.Process.Kill() // at any other signal it writes its caches back
		}
		return end()
	}
	err := qemu.Run()
	if errors.Is(context.Cause(ctx), ErrPowerOff) {
		return ErrPowerOff
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the guest had not ended in time: %w%s", context.Cause(ctx), m.lastWords())
	}
	if err != nil {
		return fmt.Errorf("running the guest: %w: %s%s", err, strings.TrimSpace(complaints.String()), m.lastWords())
	}
	return nil
}

// exitStatus reads what the guest's init left after the command had ended.
func (m machine) exitStatus() (int, error) {
	text, err := os.ReadFile(m.status)
	if err != nil {
		return 0, err
	}
	status, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("the guest ended before its command did%s", m.lastWords())
	}
	return status, nil
}

// lastWords is the end of the guest's console, for an error's text.
func (m machine) lastWords() string {
	const most = 4 << 10
	text, err := os.ReadFile(m.console)
	if err != nil || len(text) == 0 {
		return ""
	}
	return "\nthe end of its console:\n" + string(text[max(0, len(text)-most):])
}

// tool runs a program of this machine; its output is the error's text.
func tool(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// waitDelay is how long the output of a killed qemu is waited for.
const waitDelay = 5 * time.Second
