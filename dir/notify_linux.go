package dir

import (
	"errors"
	"fmt"

	"github.com/fsnotify/fsnotify"
)

// openNotifier watches the directory at path with inotify: it tells of the
// directory's entries without a descriptor on any of them, and does not keep
// the file system of the directory busy either.
func openNotifier(path string) (*fsnotify.Watcher, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("start inotify: %w", err)
	}
	if err := watcher.Add(path); err != nil {
		return nil, errors.Join(fmt.Errorf("watch %s with inotify: %w", path, err), watcher.Close())
	}
	return watcher, nil
}
