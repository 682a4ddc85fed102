package vdi_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/vdi"
)

// The vectors are part of the contract with everybody's media registry: a
// change here means that every presented UUID changes.
func TestMappingGivesTheUUIDsThatRegistriesRemember(t *testing.T) {
	stored := parse(t, "9079169b-d4a4-41e5-bb50-fe548c9e7cb0")
	for _, v := range []struct{ identity, mask, presented string }{
		{"zfs:8289186342831999723", "000000005757570c1d4ca60200000000", "9079169b-83f3-4db2-a61c-58568c9e7cb0"},
		{"dir:job-1", "0000000068df6e062987502700000000", "9079169b-0bcc-478b-92d7-ae738c9e7cb0"},
		{"dir:.", "000000007360f8080b6fdfaf00000000", "9079169b-b4d7-491d-b03f-21fb8c9e7cb0"},
		{"name:ci-7", "0000000002b1390b07e083a100000000", "9079169b-65a6-4adc-bcb0-7df58c9e7cb0"},
		{vdi.Original, "00000000000000000000000000000000", "9079169b-d4a4-41e5-bb50-fe548c9e7cb0"},
	} {
		t.Run(v.identity, func(t *testing.T) {
			mask := vdi.NewMask(v.identity, vdi.KeepGuestSerial)
			require.Equal(t, v.mask, hex.EncodeToString(mask[:]))
			require.Equal(t, v.presented, mask.Map(stored).String())
			require.Equal(t, stored, mask.Map(mask.Map(stored)))
		})
	}
}

func TestAMaskChangesOnlyTheBitsItMay(t *testing.T) {
	for _, v := range []struct {
		name   string
		serial vdi.GuestSerial
		free   string
	}{
		{"guest serial kept", vdi.KeepGuestSerial, "00000000ffffff0f3fffffff00000000"},
		{"guest serial unique", vdi.UniqueGuestSerial, "ffffffffffffff0f3fffffffffffffff"},
	} {
		t.Run(v.name, func(t *testing.T) {
			var seen vdi.Mask
			for i := range 2000 {
				mask := vdi.NewMask("zfs:"+string(rune('a'+i)), v.serial)
				for b := range seen {
					seen[b] |= mask[b]
				}
			}
			require.Equal(t, v.free, hex.EncodeToString(seen[:]), "every free bit and no other is used")
		})
	}
}

func TestAUUIDThatMustNotChangeDoesNot(t *testing.T) {
	mask := vdi.NewMask("dir:job-1", vdi.KeepGuestSerial)
	require.Equal(t, vdi.UUID{}, mask.Map(vdi.UUID{}), "null means no parent")
	require.Equal(t, vdi.UUID(mask), mask.Map(vdi.UUID(mask)), "the mask itself would become null")
}

func TestGuestSerialIsAFlagValue(t *testing.T) {
	var serial vdi.GuestSerial
	require.Equal(t, "keep", serial.String())
	require.NoError(t, serial.Set("unique"))
	require.Equal(t, vdi.UniqueGuestSerial, serial)
	require.ErrorContains(t, serial.Set("none"), `"none": want keep or unique`)
	require.Equal(t, "unique", serial.String(), "a refused value changes nothing")
}

func TestUUIDTextIsMixedEndian(t *testing.T) {
	u := parse(t, "{9079169B-d4a4-41e5-bb50-fe548c9e7cb0}")
	require.Equal(t, "9b167990a4d4e541bb50fe548c9e7cb0", hex.EncodeToString(u[:]))
	require.Equal(t, "9079169b-d4a4-41e5-bb50-fe548c9e7cb0", u.String())
	_, err := vdi.ParseUUID("not a uuid")
	require.Error(t, err)
}

func TestPresentMapsCreateAndLinkageOnly(t *testing.T) {
	mask := vdi.NewMask("dir:job-1", vdi.UniqueGuestSerial)
	for _, v := range []struct {
		name            string
		version         uint32
		create, linkage int
	}{
		{"version 1.1", 0x00010001, 392, 424},
		{"version 1.x with an unknown minor number", 0x0001ffff, 392, 424},
		{"version 0", 0x00000002, 372, 404},
	} {
		t.Run(v.name, func(t *testing.T) {
			stored := header(v.version)
			presented := bytes.Clone(stored)
			mask.Present(presented)

			want := bytes.Clone(stored)
			for _, offset := range []int{v.create, v.linkage} {
				for i := range 16 {
					want[offset+i] ^= mask[i]
				}
			}
			require.Equal(t, want, presented)
		})
	}
}

// parse is ParseUUID for texts that are right.
func parse(t *testing.T, text string) vdi.UUID {
	t.Helper()
	u, err := vdi.ParseUUID(text)
	require.NoError(t, err)
	return u
}
