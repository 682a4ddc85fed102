package vdi_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/vdi"
)

// FuzzPresent: for any bytes and any mask, presenting twice gives the bytes
// back, nothing outside the mapped fields changes, and nothing panics.
func FuzzPresent(f *testing.F) {
	for _, b := range realHeaders(f) {
		f.Add(b, []byte("0123456789abcdef"))
	}
	f.Add(header(0x00010001), make([]byte, 16))
	f.Add(header(0x00000002)[:420], header(1)[372:388])
	f.Add([]byte{}, []byte{})

	f.Fuzz(func(t *testing.T, stored, maskBytes []byte) {
		var mask vdi.Mask
		copy(mask[:], maskBytes)
		presented := bytes.Clone(stored)
		mask.Present(presented)

		requireOnlyMappedFieldsDiffer(t, stored, presented)
		_, wasImage := vdi.Recognize(stored)
		_, isImage := vdi.Recognize(presented)
		require.Equal(t, wasImage, isImage)
		if h, err := vdi.Parse(stored); err == nil {
			_ = h.Type.String() + h.Create.String()
		}

		mask.Present(presented)
		require.Equal(t, stored, presented)
	})
}

func requireOnlyMappedFieldsDiffer(t *testing.T, stored, presented []byte) {
	t.Helper()
	blank := func(b []byte) []byte {
		b = bytes.Clone(b)
		if layout, ok := vdi.Recognize(b); ok {
			for _, field := range layout.Mapped() {
				clear(b[field.Offset : field.Offset+16])
			}
		}
		return b
	}
	require.Equal(t, blank(stored), blank(presented))
}

// realHeaders are the first 512 bytes of images that real programs made; see
// testdata/README.md.
func realHeaders(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.bin")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	headers := map[string][]byte{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		headers[filepath.Base(path)] = b
	}
	return headers
}
