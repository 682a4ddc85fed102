//go:build !linux

package dir

import "errors"

// openNotifier refuses: kqueue(2) watches open files only, and a descriptor on
// the source directory would keep its file system busy.
func openNotifier(string) (notifier, error) {
	return notifier{}, errors.ErrUnsupported
}
