package fs

import "github.com/hanwen/go-fuse/v2/fuse"

// inGroup tells whether a group is the client's first one. The kernel sees to
// setuid and setgid itself; see handlesPrivileges.
func inGroup(caller *fuse.Caller, gid uint32) bool { return caller.Gid == gid }
