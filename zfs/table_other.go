//go:build !linux && !freebsd

package zfs

import (
	"context"
	"errors"
	"time"
)

// A kernelTable would read the kernel's table of mounts.
type kernelTable struct{}

func openTable() (*kernelTable, error) {
	return nil, errors.New("how this system tells of its mounts is not known: ZFS sources need Linux or FreeBSD")
}

func (*kernelTable) read() ([]mount, error) { return nil, errors.ErrUnsupported }

func (*kernelTable) reusesIDs() bool { return false }

func (*kernelTable) changed() bool { return false }

func (*kernelTable) watch(context.Context, time.Duration, func()) error { return errors.ErrUnsupported }

func (*kernelTable) close() error { return nil }
