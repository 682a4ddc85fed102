package vdi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/vdi"
)

// What the programs that made the images say of them (testdata/README.md).
func TestRealHeadersAreReadAsTheirMakersReadThem(t *testing.T) {
	headers := realHeaders(t)
	for _, v := range []struct {
		file                                  string
		major                                 int
		kind                                  vdi.Type
		capacity                              uint64
		create, modify, linkage, parentModify string
	}{
		{"vbox-7.2-dynamic.bin", 1, vdi.Dynamic, 16 << 20, "557c401d-a59d-4616-ba57-7aeaf17322eb", "ce8c0cd5-8215-476a-9900-99403415da0e", "", ""},
		{"vbox-7.2-fixed.bin", 1, vdi.Fixed, 4 << 20, "44a1e8e5-9a29-4e7a-bcdc-2619f3d4859c", "6be0a39d-cc66-4175-a51a-b13e0e6de63b", "", ""},
		{"vbox-7.2-diff-parent.bin", 1, vdi.Dynamic, 16 << 20, "1fed475b-894b-4aeb-a0e9-fcc5fb4e94f7", "b5dac88b-fc1d-4ce0-b9d3-78079a977739", "", ""},
		{
			"vbox-7.2-diff.bin", 1, vdi.Differencing, 16 << 20, "b49770ca-7509-4e9f-8e5a-d828834cbbb6", "85e1c63a-8351-4e61-aceb-4b1a39295790",
			"1fed475b-894b-4aeb-a0e9-fcc5fb4e94f7", "b5dac88b-fc1d-4ce0-b9d3-78079a977739",
		},
		{"qemu-7.2.bin", 1, vdi.Dynamic, 16 << 20, "f9e70e0a-1723-47ea-891a-cdfb7d0b1024", "c3c40a70-38e7-43ce-bb0b-8ff2d0050502", "", ""},
		{"hand-made-v0.bin", 0, vdi.Dynamic, 8 << 20, "9079169b-d4a4-41e5-bb50-fe548c9e7cb0", "03020100-0504-4746-8889-8a8b8c8d8e8f", "", ""},
	} {
		t.Run(v.file, func(t *testing.T) {
			h, err := vdi.Parse(headers[v.file])
			require.NoError(t, err)
			require.Equal(t, v.major, h.Major)
			require.Equal(t, v.kind, h.Type)
			require.Equal(t, v.capacity, h.Capacity)
			require.Equal(t, v.create, h.Create.String())
			require.Equal(t, v.modify, h.Modify.String())
			require.Equal(t, v.linkage, textOrNothing(h.Linkage))
			require.Equal(t, v.parentModify, textOrNothing(h.ParentModify))
		})
	}
}

func textOrNothing(u vdi.UUID) string {
	if u.IsNull() {
		return ""
	}
	return u.String()
}

// A chain stays a chain: the child's linkage and the parent's uuidCreate are
// mapped to the same UUID.
func TestADifferencingImageStillFindsItsParent(t *testing.T) {
	headers := realHeaders(t)
	mask := vdi.NewMask("zfs:8289186342831999723", vdi.KeepGuestSerial)
	child, parent := headers["vbox-7.2-diff.bin"], headers["vbox-7.2-diff-parent.bin"]
	mask.Present(child)
	mask.Present(parent)
	c, err := vdi.Parse(child)
	require.NoError(t, err)
	p, err := vdi.Parse(parent)
	require.NoError(t, err)
	require.Equal(t, p.Create, c.Linkage)
	require.Equal(t, p.Modify, c.ParentModify)
	require.NotEqual(t, "1fed475b-894b-4aeb-a0e9-fcc5fb4e94f7", p.Create.String())
}

func TestEveryTypeHasAName(t *testing.T) {
	for kind, name := range map[vdi.Type]string{
		vdi.Dynamic: "dynamic", vdi.Fixed: "fixed", vdi.Undo: "undo", vdi.Differencing: "differencing", 0: "unknown (0)", 77: "unknown (77)",
	} {
		require.Equal(t, name, kind.String())
	}
}
