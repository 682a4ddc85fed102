package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Statx is GetAttr and the time of birth, where the backing file system has it.
func (r *raw) Statx(_ <-chan struct{}, in *fuse.StatxIn, out *fuse.StatxOut) fuse.Status {
	n := r.node(in.NodeId)
	if n == nil {
		return staleNode
	}
	var attr fuse.Attr
	birth, errno := n.Getattr(&attr)
	if errno != 0 {
		return fuse.Status(errno)
	}
	out.SetTimeout(attributesAge)
	out.Statx = fuse.Statx{
		Mask: unix.STATX_BASIC_STATS, Blksize: attr.Blksize, Nlink: attr.Nlink,
		Uid: attr.Uid, Gid: attr.Gid, Mode: uint16(attr.Mode), Ino: attr.Ino, Size: attr.Size, Blocks: attr.Blocks,
		Atime:     fuse.SxTime{Sec: attr.Atime, Nsec: attr.Atimensec},
		Ctime:     fuse.SxTime{Sec: attr.Ctime, Nsec: attr.Ctimensec},
		Mtime:     fuse.SxTime{Sec: attr.Mtime, Nsec: attr.Mtimensec},
		RdevMajor: unix.Major(uint64(attr.Rdev)), RdevMinor: unix.Minor(uint64(attr.Rdev)),
	}
	if birth != 0 {
		out.Mask |= unix.STATX_BTIME
		out.Btime = fuse.SxTime{Sec: uint64(birth / 1e9), Nsec: uint32(birth % 1e9)}
	}
	return fuse.OK
}
