package fs

import (
	"context"
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

var _ = (gofuse.NodeStatxer)((*node)(nil))

// Statx is Getattr and the time of birth, where the backing file system has it.
func (n *node) Statx(_ context.Context, fh gofuse.FileHandle, _, _ uint32, out *fuse.StatxOut) syscall.Errno {
	s, err := n.status(fh)
	if err != nil {
		return n.mirror.errno("statx", n, err)
	}
	var attr fuse.Attr
	n.setAttr(s, &attr)
	out.Statx = fuse.Statx{
		Mask: unix.STATX_BASIC_STATS, Blksize: attr.Blksize, Nlink: attr.Nlink,
		Uid: attr.Uid, Gid: attr.Gid, Mode: uint16(attr.Mode), Ino: attr.Ino, Size: attr.Size, Blocks: attr.Blocks,
		Atime:     fuse.SxTime{Sec: attr.Atime, Nsec: attr.Atimensec},
		Ctime:     fuse.SxTime{Sec: attr.Ctime, Nsec: attr.Ctimensec},
		Mtime:     fuse.SxTime{Sec: attr.Mtime, Nsec: attr.Mtimensec},
		RdevMajor: unix.Major(uint64(attr.Rdev)), RdevMinor: unix.Minor(uint64(attr.Rdev)),
	}
	if s.id.birth != 0 {
		out.Mask |= unix.STATX_BTIME
		out.Btime = fuse.SxTime{Sec: uint64(s.id.birth / 1e9), Nsec: uint32(s.id.birth % 1e9)}
	}
	return 0
}
