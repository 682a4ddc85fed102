package vdi

import "github.com/google/uuid"

// A UUID is 16 bytes in stored order: as they lie in the file. VirtualBox
// writes the first three groups of the text little-endian.
type UUID [16]byte

// ParseUUID reads a UUID in any of the text forms of [uuid.Parse], braces
// included.
func ParseUUID(text string) (UUID, error) {
	u, err := uuid.Parse(text)
	return swapGroups(UUID(u)), err
}

// String returns the text that VirtualBox shows:
// "9079169b-d4a4-41e5-bb50-fe548c9e7cb0".
func (u UUID) String() string { return uuid.UUID(swapGroups(u)).String() }

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// IsNull tells whether all bytes are zero: "no parent" in a linkage field.
func (u UUID) IsNull() bool { return u == UUID{} }

// swapGroups turns stored order into the order of the text and back (RTUuidToStr
// in VirtualBox's runtime prints u32, u16, u16, then bytes).
func swapGroups(u UUID) UUID {
	u[0], u[1], u[2], u[3] = u[3], u[2], u[1], u[0]
	u[4], u[5] = u[5], u[4]
	u[6], u[7] = u[7], u[6]
	return u
}
