package fs

import (
	gofuse "github.com/hanwen/go-fuse/v2/fs"

	"github.com/clonefs/clonefs/fs/connection"
)

// connect mounts, and serves until the file system is unmounted.
func (m *mirror) connect(mountpoint string, options *gofuse.Options) (kernel, error) {
	c := connection.New(options.MountOptions)
	options.ServerCallbacks = c
	if err := c.Mount(mountpoint, m.rawFileSystem(options)); err != nil {
		return nil, err
	}
	return c, nil
}
