package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const cloneFSType = "fuse.clonefs"

// Read returns the mounts that this process sees.
func Read() (Table, error) { return read("/proc/self/mountinfo") }

// ReadOf returns the mounts that another process sees.
func ReadOf(pid int) (Table, error) { return read(fmt.Sprintf("/proc/%d/mountinfo", pid)) }

func read(path string) (Table, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return parse(file)
}

func parse(r io.Reader) (Table, error) {
	var table Table
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // overlay mounts have options of many pages
	for lines.Scan() {
		m, err := parseLine(lines.Text())
		if err != nil {
			return nil, err
		}
		table = append(table, m)
	}
	return table, lines.Err()
}

// parseLine reads one line as proc(5) describes it:
//
//	36 35 0:53 / /mnt/vm rw,nosuid shared:7 - fuse.clonefs dir:/srv/vm rw,user_id=0
//	id parent dev root dir options [tag...] - type source super-options
func parseLine(line string) (Mount, error) {
	head, tail, ok := strings.Cut(line, " - ")
	before, after := strings.Split(head, " "), strings.Split(tail, " ")
	if !ok || len(before) < 6 || len(after) < 2 {
		return Mount{}, fmt.Errorf("cannot read the mount table's line %q", line)
	}
	id, err := strconv.Atoi(before[0])
	parent, parentErr := strconv.Atoi(before[1])
	if err := errors.Join(err, parentErr); err != nil {
		return Mount{}, fmt.Errorf("cannot read the mount table's line %q: %w", line, err)
	}
	return Mount{
		ID: id, ParentID: parent, Device: before[2], Dir: unescape(before[4]),
		Type: unescape(after[0]), Source: unescape(after[1]),
	}, nil
}

// unescape undoes the kernel's mangling of space, tab, newline and backslash
// to a backslash and three octal digits (fs/proc_namespace.c).
func unescape(field string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#").Replace(field)
}

// Unmount takes away the topmost mount on dir. With lazy it is taken out of
// sight at once and ends when the last of its files is closed. The error is
// unix.EBUSY where a file or a working directory on it is in use.
func Unmount(dir string, lazy bool) error {
	if os.Geteuid() != 0 {
		return unmountAsUser(dir, lazy)
	}
	flags := unix.UMOUNT_NOFOLLOW
	if lazy {
		flags |= unix.MNT_DETACH
	}
	if err := unix.Unmount(dir, flags); err != nil {
		return &os.PathError{Op: "unmount", Path: dir, Err: err}
	}
	return nil
}

// DetachDead takes away a mount whose daemon is gone, also when something still
// has its working directory in it. Another mount that has come to its place
// meanwhile, by somebody who cleaned it as well, stays: that is ErrReplaced.
func DetachDead(m Mount) error {
	if os.Geteuid() != 0 {
		return unmountAsUser(m.Dir, true) // which knows mounts by their directories only
	}
	fd, err := unix.Open(m.Dir, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: m.Dir, Err: err}
	}
	defer unix.Close(fd)
	id, err := mountID(fd)
	if err != nil {
		return err
	}
	if id != m.ID {
		return fmt.Errorf("unmount %s: %w", m.Dir, ErrReplaced)
	}
	// The descriptor's link leads to this mount, whatever is mounted over it.
	switch err := unix.Unmount(fmt.Sprintf("/proc/self/fd/%d", fd), unix.MNT_DETACH); err {
	case nil:
		return nil
	case unix.EINVAL: // it is not mounted any more
		return fmt.Errorf("unmount %s: %w", m.Dir, ErrReplaced)
	default:
		return &os.PathError{Op: "unmount", Path: m.Dir, Err: err}
	}
}

// mountID returns the ID of the mount that a descriptor's file lies on; see
// proc_pid_fdinfo(5).
func mountID(fd int) (int, error) {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(info)) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strconv.Atoi(strings.TrimSpace(id))
		}
	}
	return 0, fmt.Errorf("the kernel does not say which mount a file lies on: %q", info)
}

// unmountAsUser asks fusermount3, which is setuid root and unmounts what its
// caller mounted. It tells of a busy mount only in words.
func unmountAsUser(dir string, lazy bool) error {
	args := []string{"-u", "--", dir}
	if lazy {
		args = []string{"-u", "-z", "--", dir}
	}
	command := exec.Command("fusermount3", args...)
	command.Env = append(os.Environ(), "LC_ALL=C")
	output, err := command.CombinedOutput()
	switch message := strings.TrimSpace(string(output)); {
	case err == nil:
		return nil
	case strings.Contains(message, "Device or resource busy"):
		return &os.PathError{Op: "unmount", Path: dir, Err: unix.EBUSY}
	case strings.Contains(message, "not found in /etc/mtab"): // so it calls what another user mounted
		return fmt.Errorf("unmount %s: not mounted by this user: its owner or root can unmount it: %w", dir, iofs.ErrPermission)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("unmount %s: fusermount3 is not installed, and without it only root can unmount (it is in the package fuse3): %w", dir, err)
	default:
		return fmt.Errorf("unmount %s: %s: %w", dir, message, err)
	}
}
