package vdi

import "encoding/binary"

const (
	// HeaderSize is how many bytes at the start of a file can matter: every
	// UUID of every version lies in them.
	HeaderSize = 512

	signatureOffset = 64
	versionOffset   = 68
	preHeaderSize   = 72

	// Signature is VDI_IMAGE_SIGNATURE, at byte 64, little-endian.
	Signature = 0xbeda107f

	// version0 is how the releases before 1.1 wrote their version: major 0,
	// minor 2. VirtualBox accepts no other version with major 0.
	version0 = 0x00000002
)

// A Field is a UUID in a header.
type Field struct {
	// Name is VirtualBox's: uuidCreate, uuidModify, uuidLinkage,
	// uuidParentModify.
	Name string
	// Offset is where its 16 bytes begin, from the start of the file.
	Offset int
	// Mapped says whether clonefs presents another UUID than the stored one.
	// The modification UUIDs tell contents apart, not disks, and VirtualBox
	// compares them with nothing: they stay.
	Mapped bool
}

// A Layout is where the UUIDs lie in one major version of the header.
type Layout struct {
	// Major is the version's major number, 0 or 1.
	Major int
	// Fields are its UUIDs in the order of their offsets.
	Fields []Field

	typeOffset     int
	capacityOffset int
	mapped         []Field
}

var (
	layout0 = newLayout(Layout{Major: 0, typeOffset: 72, capacityOffset: 352, Fields: []Field{
		{"uuidCreate", 372, true},
		{"uuidModify", 388, false},
		{"uuidLinkage", 404, true},
	}})
	layout1 = newLayout(Layout{Major: 1, typeOffset: 76, capacityOffset: 368, Fields: []Field{
		{"uuidCreate", 392, true},
		{"uuidModify", 408, false},
		{"uuidLinkage", 424, true},
		{"uuidParentModify", 440, false},
	}})
)

func newLayout(l Layout) *Layout {
	for _, field := range l.Fields {
		if field.Mapped {
			l.mapped = append(l.mapped, field)
		}
	}
	return &l
}

// Mapped returns the fields that clonefs presents changed.
func (l *Layout) Mapped() []Field { return l.mapped }

// Needs is the length in bytes that a file must have for its UUIDs to be mapped:
// the mapped fields must be there whole, or the mapping could not be undone.
func (l *Layout) Needs() int {
	return l.mapped[len(l.mapped)-1].Offset + len(UUID{})
}

// Recognize says which layout the first bytes of a file have, and whether they
// are the header of an image at all: signature, a version that VirtualBox
// opens (1.x whatever the minor number, or the old 0.2), and the length that
// the layout needs. header may be of any length and content.
func Recognize(header []byte) (*Layout, bool) {
	layout := layoutOf(header)
	if layout == nil || len(header) < layout.Needs() {
		return nil, false
	}
	return layout, true
}

func layoutOf(header []byte) *Layout {
	if len(header) < preHeaderSize || binary.LittleEndian.Uint32(header[signatureOffset:]) != Signature {
		return nil
	}
	switch version := binary.LittleEndian.Uint32(header[versionOffset:]); {
	case version>>16 == 1:
		return layout1
	case version == version0:
		return layout0
	}
	return nil
}
