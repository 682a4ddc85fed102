package fs

import "github.com/hanwen/go-fuse/v2/fuse"

// connect mounts, and serves until the file system is unmounted.
func (m *mirror) connect(mountpoint string, options *fuse.MountOptions) error {
	server, err := fuse.NewServer(m.raw, mountpoint, options)
	if err != nil {
		return err
	}
	m.kernel = server
	go server.Serve()
	return server.WaitMount()
}
