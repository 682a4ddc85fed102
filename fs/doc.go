// Package fs mirrors volumes under one FUSE mount and presents every VirtualBox
// image in them with UUIDs of its own.
//
// Use [Mount] with a [Source] of volumes. What the mount serves differs from
// what is stored in the mapped UUID fields of image headers only (see package
// vdi), and two rules hold at every step:
//
//  1. What a client reads after a write is what it read before with its own
//     bytes laid over it.
//  2. A presented UUID does not change while its volume lives.
//
// # How it hangs together
//
// A [Source] says which volumes there are; tree keeps them by their place
// beneath the mount point. A node is a file or directory in a volume, or a
// directory that exists only because volumes lie below it. A node knows no
// descriptor and no absolute path: each operation opens the volume's root,
// resolves the node's path beneath it without following symbolic links, checks
// that what it found is still the node's inode, does its work and closes what
// it opened. So nothing keeps an unused volume busy, and nobody steers the
// daemon out of a volume by swapping a directory for a link.
//
// A file is an open file: the one thing that holds a descriptor. All files of
// one backing inode share a header, which holds the lock under which the first
// 512 bytes are read and changed; everything beyond them goes straight through.
//
// All errors become errno in errno.go, and only there.
package fs
