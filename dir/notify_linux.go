package dir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// structural is what is asked of inotify: what can change the set of volumes,
// and no more. IN_MODIFY would wake this process for each write that a VM makes
// to an image in the source directory itself. Not asked for since they come
// anyway: IN_Q_OVERFLOW and IN_IGNORED, the latter also when the directory was
// removed or its file system unmounted (inotify(7)).
const structural = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MOVE_SELF

// openNotifier watches the directory at path with inotify: it tells of the
// directory's entries without a descriptor on any of them, and does not keep
// the file system of the directory busy either.
func openNotifier(path string) (notifier, error) {
	queue, err := openInotify(path)
	if err != nil {
		return notifier{}, err
	}
	return readInotify(queue), nil
}

// openInotify returns the queue of the events of the directory at path, which
// must not be a symbolic link. It does not block, so that the runtime waits
// for events and Close ends a Read.
func openInotify(path string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("start inotify: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, path, structural|unix.IN_ONLYDIR|unix.IN_DONT_FOLLOW); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch %s with inotify: %w", path, err)
	}
	return os.NewFile(uintptr(fd), "inotify"), nil
}

// readInotify returns a notifier that tells of the events of a queue and
// closes it. Its channels have room for what is to be told, so that the reader
// waits for nobody.
func readInotify(queue *os.File) notifier {
	changes, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		err := tellChanges(queue, changes)
		if !errors.Is(err, os.ErrClosed) {
			ended <- err
		}
	}()
	return notifier{Closer: queue, changes: changes, ended: ended}
}

// tellChanges puts a change into changes, where one is enough, after each read
// of events. It returns nil when they say that the watch has ended.
func tellChanges(queue *os.File, changes chan<- struct{}) error {
	events := make([]byte, 4096) // many with names of their usual length
	for {
		n, err := queue.Read(events)
		if err != nil || endsWatch(events[:n]) {
			return err
		}
		select {
		case changes <- struct{}{}:
		default:
		}
	}
}

// endsWatch says whether the events, as inotify lays them out, end the watch.
// Where the queue was full nobody knows: IN_IGNORED may be among what was lost.
func endsWatch(events []byte) bool {
	for len(events) > 0 {
		var event unix.InotifyEvent
		size, err := binary.Decode(events, binary.NativeEndian, &event)
		if err != nil || event.Mask&(unix.IN_IGNORED|unix.IN_Q_OVERFLOW) != 0 {
			return true
		}
		events = events[size+int(event.Len):] // after the name
	}
	return false
}
