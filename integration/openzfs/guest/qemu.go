package guest

import (
	"fmt"
	"strconv"
	"strings"
)

const defaultMemory = 3072 // MiB

// commandLine is the kernel's. All of it but the console and what ends the guest when
// its kernel fails saves time: with tsc the clock is read without asking a device,
// and with norandmaps qemu finds more of what it has translated already.
const commandLine = "console=ttyS0 quiet oops=panic panic=-1 mitigations=off init_on_alloc=0 tsc=reliable norandmaps"

// machine is what qemu is told. Paths are the host's.
type machine struct {
	kernel, initramfs string
	memory            int    // MiB
	processors        int    // 0 for one
	disks             []Disk // in the order of their serial numbers
	status            string // a file, for the second virtio port
	console           string // a file, for the serial console
}

// arguments returns qemu's command line. The command's output comes out of
// qemu's standard output, which must be a pipe.
//
// Everything is emulated: /dev/kvm is not there on many machines that tests
// run on, and where it is there, it may not run ordinary guests. So the guest has
// the plainest processor that has what VirtualBox needs (SVM), and only one: with
// two, which wait for each other at every lock and page table, the same work takes
// half as much again.
func (m machine) arguments() []string {
	args := []string{
		"-accel", "tcg", "-cpu", "qemu64,+svm", "-smp", strconv.Itoa(max(1, m.processors)), "-m", strconv.Itoa(m.memory),
		"-nodefaults", "-display", "none", "-no-reboot",
		"-kernel", m.kernel, "-initrd", m.initramfs,
		"-append", commandLine,
		"-serial", "file:" + escape(m.console),
		"-device", "virtio-serial-pci",
		// Not stdio, which closes the port when qemu's standard input is at its end.
		"-chardev", "file,id=output,append=on,path=/dev/fd/1", "-device", "virtserialport,nr=1,chardev=output",
		"-chardev", "file,id=status,path=" + escape(m.status), "-device", "virtserialport,nr=2,chardev=status",
	}
	for i, disk := range m.disks {
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=%s,discard=unmap,%s,file=%s", serial(i), disk.drive(), escape(disk.Image)),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=%[1]s,serial=%[1]s", serial(i)))
	}
	return args
}

// drive returns qemu's options for how a disk keeps what is written.
//
// What qemu has written is safe from its end, flushed or not: the host has it. But
// where in a QCOW2 image a cluster is that had not been there, qemu writes only when
// the guest flushes (or when it has no more memory for that), and what is not known
// to be there is lost. ZFS writes to new places nearly always.
func (d Disk) drive() string {
	switch {
	case d.Cached:
		return "format=qcow2,cache=writeback"
	case d.Writable:
		return "format=raw,cache=unsafe"
	}
	return "format=raw,cache=unsafe,snapshot=on" // into a temporary file
}

// serial names a disk towards the guest's init.
func serial(disk int) string { return "disk" + strconv.Itoa(disk) }

// escape doubles the commas in a path, as qemu wants them in an option's value.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }
