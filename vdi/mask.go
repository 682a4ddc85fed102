package vdi

import (
	"crypto/sha256"
	"fmt"
)

// Original is the identity of a volume whose UUIDs are presented as they are
// stored.
const Original = "original"

// GuestSerial says whether a guest sees the disk serial of the stored image.
// VirtualBox makes that serial out of UUID bytes 0-3 and 12-15.
type GuestSerial int

const (
	// KeepGuestSerial leaves those bytes alone: a guest booted from a clone
	// sees the very disk it was installed on.
	KeepGuestSerial GuestSerial = iota
	// UniqueGuestSerial changes them too, for two clones in one VM.
	UniqueGuestSerial
)

var guestSerials = map[GuestSerial]string{KeepGuestSerial: "keep", UniqueGuestSerial: "unique"}

// String returns "keep" or "unique".
func (s *GuestSerial) String() string { return guestSerials[*s] }

// Set takes "keep" or "unique"; it makes *GuestSerial a flag value.
func (s *GuestSerial) Set(text string) error {
	for serial, name := range guestSerials {
		if name == text {
			*s = serial
			return nil
		}
	}
	return fmt.Errorf("guest serial %q: want keep or unique", text)
}

// Type names the value in a flag's help.
func (s *GuestSerial) Type() string { return "keep|unique" }

// A Mask is what the stored UUIDs of one volume are XORed with to present them.
// The zero Mask changes nothing.
type Mask [16]byte

// free are the bits that a mask may set, in stored order. Bits 4-7 of byte 7
// (version) and bits 6-7 of byte 8 (variant) stay as they are, so that a random
// UUID stays a well-formed random UUID.
var free = map[GuestSerial]Mask{
	KeepGuestSerial:   {0, 0, 0, 0, 0xff, 0xff, 0xff, 0x0f, 0x3f, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	UniqueGuestSerial: {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
}

// NewMask makes the mask of a volume out of its identity: the first 16 bytes of
// SHA-256("clonefs/1\x00" + identity), reduced to the bits that may change. It
// depends on nothing else, so a volume looks the same after every remount and
// on every machine. The identity Original gives the zero Mask.
func NewMask(identity string, serial GuestSerial) Mask {
	if identity == Original {
		return Mask{}
	}
	sum := sha256.Sum256([]byte("clonefs/1\x00" + identity))
	return Mask(sum[:16]).and(free[serial])
}

func (m Mask) and(bits Mask) Mask {
	for i := range m {
		m[i] &= bits[i]
	}
	return m
}

// Map turns a stored UUID into the presented one, and a presented one into the
// stored one. Null stays null, because VirtualBox takes an image with a linkage
// for a differencing one; so does the mask itself, because it would become null.
func (m Mask) Map(u UUID) UUID {
	if u.IsNull() || u == UUID(m) {
		return u
	}
	for i := range u {
		u[i] ^= m[i]
	}
	return u
}

// Present maps the UUIDs in header, which holds the first bytes of a file: all
// of them where the file is shorter than [HeaderSize]. What is not the header
// of an image is left as it is. Present is its own inverse: nothing that it
// looks at to find the UUIDs is anything that it changes.
func (m Mask) Present(header []byte) {
	layout, ok := Recognize(header)
	if !ok {
		return
	}
	for _, field := range layout.Mapped() {
		stored := UUID(header[field.Offset:])
		mapped := m.Map(stored)
		copy(header[field.Offset:], mapped[:])
	}
}
