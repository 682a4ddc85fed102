package vdi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrNotImage says that bytes are not the header of an image.
var ErrNotImage = errors.New("not a VirtualBox disk image")

// Type is what kind of image a header says it is.
type Type uint32

// The image types of VDICore.h (VDIIMAGETYPE).
const (
	Dynamic Type = iota + 1
	Fixed
	Undo
	Differencing
)

// String returns VirtualBox's word for the type.
func (t Type) String() string {
	switch t {
	case Dynamic:
		return "dynamic"
	case Fixed:
		return "fixed"
	case Undo:
		return "undo"
	case Differencing:
		return "differencing"
	}
	return fmt.Sprintf("unknown (%d)", uint32(t))
}

// A Header is what a header says of itself. Apart from the UUIDs nothing in it
// has been checked: it is for showing, not for deciding.
type Header struct {
	Major, Minor int
	Type         Type
	// Capacity is the size of the disk in bytes.
	Capacity uint64
	// Create identifies the disk, Linkage its parent. ParentModify is null
	// in version 0, which does not have it.
	Create, Modify, Linkage, ParentModify UUID
}

// Parse reads a header out of the first bytes of a file; it wants those that
// [Recognize] wants, and returns ErrNotImage for others.
func Parse(header []byte) (Header, error) {
	layout, ok := Recognize(header)
	if !ok {
		return Header{}, ErrNotImage
	}
	version := binary.LittleEndian.Uint32(header[versionOffset:])
	h := Header{
		Major:    int(version >> 16),
		Minor:    int(version & 0xffff),
		Type:     Type(binary.LittleEndian.Uint32(header[layout.typeOffset:])),
		Capacity: binary.LittleEndian.Uint64(header[layout.capacityOffset:]),
	}
	for _, field := range layout.Fields {
		if end := field.Offset + len(UUID{}); end <= len(header) {
			*h.field(field.Name) = UUID(header[field.Offset:])
		}
	}
	// VirtualBox takes every image with a parent for a differencing one,
	// whatever its type says (VDOpen).
	if !h.Linkage.IsNull() {
		h.Type = Differencing
	}
	return h, nil
}

func (h *Header) field(name string) *UUID {
	switch name {
	case "uuidCreate":
		return &h.Create
	case "uuidModify":
		return &h.Modify
	case "uuidLinkage":
		return &h.Linkage
	default:
		return &h.ParentModify
	}
}
