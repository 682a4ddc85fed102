// Package vdi knows the header of a VirtualBox disk image (VDI) as far as the
// identity of the disk goes: it recognises a header by its content, says where
// its UUIDs lie, and maps stored UUIDs to presented ones and back.
//
// Most callers need two things: [NewMask] makes the mask of a volume out of its
// identity, and [Mask.Present] applies it to the first bytes of a file. Present
// is its own inverse, so the same call turns presented bytes into stored ones.
//
// The package does no I/O and keeps no state.
//
// # The format
//
// Facts are from VirtualBox's src/VBox/Storage/VDICore.h and VDI.cpp, and from
// images that VirtualBox and qemu-img made (see testdata). All integers are
// little-endian. The first 72 bytes are the same in every version:
//
//	offset  size  field
//	     0    64  text, never checked
//	    64     4  signature, 0xbeda107f
//	    68     4  version: major in the upper 16 bits, minor in the lower
//
// What follows depends on the major version. Version 1.x:
//
//	 72     4  size of the structure: 384, or 400 with a trailing geometry
//	 76     4  image type
//	368     8  capacity of the disk in bytes
//	392    16  uuidCreate: the identity of the disk
//	408    16  uuidModify: changes when the content does
//	424    16  uuidLinkage: uuidCreate of the parent, null without one
//	440    16  uuidParentModify: uuidModify of the parent when it was linked
//
// Version 0 (u32Version 2, written by the innotek releases):
//
//	 72     4  image type
//	352     8  capacity of the disk in bytes
//	372    16  uuidCreate
//	388    16  uuidModify
//	404    16  uuidLinkage
//
// No other field decides where a UUID lies, so no other field is trusted: the
// header may come from a hostile guest. There is no checksum and no second copy.
package vdi
