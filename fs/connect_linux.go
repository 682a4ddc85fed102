package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/clonefs/clonefs/fs/connection"
)

// connect mounts, and serves until the file system is unmounted.
func (m *mirror) connect(mountpoint string, options *fuse.MountOptions) error {
	c := connection.New(*options)
	m.kernel = c
	return c.Mount(mountpoint, m.raw)
}
