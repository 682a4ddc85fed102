package connection

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// mount mounts and returns the device to talk to the kernel through. Root mounts by
// itself, others by fusermount3, which root has allowed to.
func mount(mountpoint string, options *fuse.MountOptions) (device int, err error) {
	if os.Geteuid() == 0 {
		return mountAsRoot(mountpoint, options)
	}
	return mountAsUser(mountpoint, options)
}

func mountAsRoot(mountpoint string, options *fuse.MountOptions) (int, error) {
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse: %w", err)
	}
	flags, data := split(options.Options)
	data = append(data,
		fmt.Sprintf("fd=%d", device),
		fmt.Sprintf("rootmode=%o", unix.S_IFDIR),
		fmt.Sprintf("user_id=%d,group_id=%d", os.Geteuid(), os.Getegid()),
		fmt.Sprintf("max_read=%d", options.MaxWrite))
	if options.AllowOther {
		data = append(data, "allow_other")
	}
	if err := unix.Mount(options.FsName, mountpoint, "fuse."+options.Name, flags, strings.Join(data, ",")); err != nil {
		unix.Close(device)
		return -1, fmt.Errorf("mount(2): %w", err)
	}
	return device, nil
}

// split tells options that mount(2) takes as flags from those that FUSE reads.
// Without other words a mount has no devices and no setuid programs.
func split(options []string) (flags uintptr, data []string) {
	words := map[string]struct{ set, clear uintptr }{
		"ro": {set: unix.MS_RDONLY}, "rw": {clear: unix.MS_RDONLY},
		"nodev": {set: unix.MS_NODEV}, "dev": {clear: unix.MS_NODEV},
		"nosuid": {set: unix.MS_NOSUID}, "suid": {clear: unix.MS_NOSUID},
		"noexec": {set: unix.MS_NOEXEC}, "exec": {clear: unix.MS_NOEXEC},
		"noatime": {set: unix.MS_NOATIME}, "atime": {clear: unix.MS_NOATIME},
		"sync": {set: unix.MS_SYNCHRONOUS}, "async": {clear: unix.MS_SYNCHRONOUS},
		"dirsync": {set: unix.MS_DIRSYNC},
	}
	flags = unix.MS_NODEV | unix.MS_NOSUID
	for _, option := range options {
		if word, ok := words[option]; ok {
			flags = flags&^word.clear | word.set
		} else {
			data = append(data, option)
		}
	}
	return flags, data
}

// mountAsUser lets fusermount3 mount. It passes the device back through a socket,
// whose number it reads in its environment (util/fusermount.c of libfuse).
func mountAsUser(mountpoint string, options *fuse.MountOptions) (int, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "socket")
	command := exec.Command("fusermount3", "-o", strings.Join(userOptions(options), ","), "--", mountpoint)
	command.Env = append(os.Environ(), "_FUSE_COMMFD=3")
	command.ExtraFiles = []*os.File{theirs}
	err = errors.Join(run(command), theirs.Close())
	defer unix.Close(pair[0])
	if err != nil {
		return -1, err
	}
	return receive(pair[0])
}

// userOptions are the options as fusermount3 wants them.
func userOptions(options *fuse.MountOptions) []string {
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`)
	words := append([]string{
		"fsname=" + escape.Replace(options.FsName), "subtype=" + options.Name,
		fmt.Sprintf("max_read=%d", options.MaxWrite),
	}, options.Options...)
	if options.AllowOther {
		words = append(words, "allow_other")
	}
	return words
}

// run runs fusermount3; what it complains of is the error.
func run(command *exec.Cmd) error {
	output, err := command.CombinedOutput()
	if text := strings.TrimSpace(string(output)); err != nil && text != "" {
		return fmt.Errorf("%s: %w", text, err)
	}
	return err
}

// receive receives the device; whoever sent it has ended.
func receive(socket int) (device int, err error) {
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err == nil {
		var messages []unix.SocketControlMessage
		messages, err = unix.ParseSocketControlMessage(control[:n])
		for _, message := range messages {
			if fds, err := unix.ParseUnixRights(&message); err == nil && len(fds) == 1 {
				return fds[0], nil
			}
		}
	}
	return -1, fmt.Errorf("receive the device from fusermount3: %w", errors.Join(err, io.ErrUnexpectedEOF))
}

// unmount returns an error matching syscall.EBUSY while something on the mount is
// in use. The kernel lets go of a file a moment after its last close(2).
func unmount(mountpoint string) (err error) {
	for pause := 5 * time.Millisecond; pause < 100*time.Millisecond; pause *= 2 {
		if err = unmountOnce(mountpoint); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		time.Sleep(pause)
	}
	return err
}

func unmountOnce(mountpoint string) error {
	if os.Geteuid() == 0 {
		return unix.Unmount(mountpoint, unix.UMOUNT_NOFOLLOW)
	}
	command := exec.Command("fusermount3", "-u", "--", mountpoint)
	command.Env = append(os.Environ(), "LC_ALL=C")
	err := run(command)
	if err != nil && strings.Contains(err.Error(), "Device or resource busy") { // it tells in words only
		return syscall.EBUSY
	}
	return err
}

// detach takes a mount out of sight that never came to work.
func detach(mountpoint string) error {
	if os.Geteuid() == 0 {
		return unix.Unmount(mountpoint, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	return run(exec.Command("fusermount3", "-u", "-z", "--", mountpoint))
}

// ownName is a name at the top that go-fuse answers for by itself.
const ownName = ".go-fuse-epoll-hack"

// refusePolling makes the kernel ask whether files can be polled, and go-fuse
// answers no, for good, to whoever opens the file of this name. Otherwise a Go
// program that opened a file on a mount of its own would wait for itself: the
// runtime's poller asks, and keeps the processor meanwhile that the answer takes.
func refusePolling(mountpoint string) {
	fd, err := unix.Open(filepath.Join(mountpoint, ownName), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // the kernel asks when somebody polls
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
}
