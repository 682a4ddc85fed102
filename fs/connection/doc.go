// Package connection carries requests from Linux to a FUSE file system, and the
// answers back.
//
// It mounts, reads requests from /dev/fuse and writes the answers, as described in
// Documentation/filesystems/fuse/fuse.rst and include/uapi/linux/fuse.h of the
// kernel. What a request means is go-fuse's affair ([fuse.ProtocolServer]), except
// for the two that a disk is made of: reads and writes of an open file go straight
// to it, from and into buffers that are used again, without an allocation.
//
// go-fuse has a server of its own, which needs about twice the time for each
// request, and answers no client that is killed while the file system below hangs.
package connection
