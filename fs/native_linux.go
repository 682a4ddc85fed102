package fs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// executableOf returns the program that a process, or a thread, runs.
func executableOf(pid uint32) (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) }

// anonymousFile opens a file on which passthrough is always possible.
func anonymousFile() (int, error) { return unix.MemfdCreate("clonefs", unix.MFD_CLOEXEC) }

// opensDirect tells whether the file's file system knows O_DIRECT at all.
func opensDirect(fd int) bool {
	direct, err := retry2(func() (int, error) { return reopen(fd, unix.O_RDONLY|unix.O_DIRECT) })
	if err == nil {
		unix.Close(direct)
	}
	return err == nil
}

// readsSectors tells whether the file can be read by O_DIRECT in the units of a
// guest's disk.
func readsSectors(fd int) bool {
	const sector = 512
	direct, err := retry2(func() (int, error) { return reopen(fd, unix.O_RDONLY|unix.O_DIRECT|unix.O_NOATIME) })
	if err != nil {
		return false
	}
	defer unix.Close(direct)
	memory, err := unix.Mmap(-1, 0, sector, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON) // for it is aligned
	if err != nil {
		return false
	}
	_, err = retry2(func() (int, error) { return unix.Pread(direct, memory, sector) })
	return err == nil && unix.Munmap(memory) == nil
}
