//go:build !linux

package dir

import (
	"errors"

	"github.com/fsnotify/fsnotify"
)

// openNotifier refuses: with kqueue, fsnotify opens every entry of a watched
// directory (backend_kqueue.go, watchDirectoryFiles), which would keep every
// volume busy.
func openNotifier(string) (*fsnotify.Watcher, error) {
	return nil, errors.ErrUnsupported
}
