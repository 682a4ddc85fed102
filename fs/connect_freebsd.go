package fs

import (
	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// connect mounts, and serves until the file system is unmounted.
func (m *mirror) connect(mountpoint string, options *gofuse.Options) (kernel, error) {
	server, err := fuse.NewServer(m.rawFileSystem(options), mountpoint, &options.MountOptions)
	if err != nil {
		return nil, err
	}
	go server.Serve()
	return server, server.WaitMount()
}
