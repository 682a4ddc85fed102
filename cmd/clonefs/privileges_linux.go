package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// keptCapabilities are what a daemon of root's uses; see capabilities(7). The
// systemd unit names the same.
//
// CAP_DAC_READ_SEARCH is not among them: CAP_DAC_OVERRIDE reads all that it does,
// without open_by_handle_at(2), which leads past every path. Nor is
// CAP_SYS_RESOURCE: with it whoever writes through the mount would be beyond
// their disk quota.
var keptCapabilities = []int{
	unix.CAP_CHOWN,        // what a client makes is the client's
	unix.CAP_DAC_OVERRIDE, // the kernel has checked the client's rights: default_permissions
	unix.CAP_FOWNER,       // chmod, times, access control lists, O_NOATIME, sticky directories
	unix.CAP_FSETID,       // setgid stays where the client may set it
	unix.CAP_LEASE,        // to find out whether anybody writes to a file that the kernel keeps pages of
	unix.CAP_MKNOD,        // root's devices
	unix.CAP_SETFCAP,      // root's security.capability
	unix.CAP_SYS_ADMIN,    // to mount and unmount; trusted.* attributes; zfs clone and the like; --native-io
	unix.CAP_SYS_PTRACE,   // /proc/PID/cwd and the like: who keeps the mount busy; --native-io
}

// confine takes from this process, and from all that it will start, the
// privileges that a daemon does not use. Where there is something to take away
// it does not return: the program begins anew.
//
// Privileges belong to threads, and there are several by now. So one thread
// gives up what all are to be without and calls execve(2), which ends the
// others and gives root back no more than the bounding set has. What is given
// up stays given up, so the program does not begin anew a second time.
func confine() error {
	if os.Geteuid() != 0 {
		return nil // there are none, and fusermount3 needs its setuid bit
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	changed, err := giveUpPrivileges()
	if err != nil || !changed {
		return err
	}
	program, err := os.Executable()
	if err == nil {
		err = syscall.Exec(program, os.Args, os.Environ())
	}
	return fmt.Errorf("begin anew without the privileges that are not needed: %w", err)
}

// giveUpPrivileges does so for the calling thread and says whether there were
// any. Who may not reduce the bounding set (CAP_SETPCAP) was started by
// somebody who has decided on it.
func giveUpPrivileges() (changed bool, err error) {
	for _, step := range []func() (bool, error){forbidNewPrivileges, emptyInheritable, reduceBoundingSet} {
		did, err := step()
		if err != nil {
			return false, fmt.Errorf("give up privileges that are not needed: %w", err)
		}
		changed = changed || did
	}
	return changed, nil
}

// forbidNewPrivileges makes setuid bits and file capabilities ineffective.
func forbidNewPrivileges() (changed bool, err error) {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil || set == 1 {
		return false, os.NewSyscallError("prctl", err)
	}
	return true, os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// emptyInheritable empties the set that root keeps over an execve(2) whatever
// the bounding set says, and the ambient set with it.
func emptyInheritable() (changed bool, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return false, os.NewSyscallError("capget", err)
	}
	if sets[0].Inheritable == 0 && sets[1].Inheritable == 0 {
		return false, nil
	}
	sets[0].Inheritable, sets[1].Inheritable = 0, 0
	return true, os.NewSyscallError("capset", unix.Capset(&header, &sets[0]))
}

func reduceBoundingSet() (changed bool, err error) {
	for _, capability := range surplusCapabilities() {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0)
		if errors.Is(err, unix.EPERM) {
			break
		}
		if err != nil {
			return changed, os.NewSyscallError("prctl", err)
		}
		changed = true
	}
	return changed, nil
}

// surplusCapabilities are those of the bounding set that are not kept. The kernel
// knows fewer than 64, and fails for the others.
func surplusCapabilities() (surplus []int) {
	for capability := range 64 {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(capability), 0, 0, 0)
		if err == nil && has == 1 && !slices.Contains(keptCapabilities, capability) {
			surplus = append(surplus, capability)
		}
	}
	return surplus
}
