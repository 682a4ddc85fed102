package fs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHandlesStayWhenTheirTableGrows(t *testing.T) {
	var h handles[file]
	files := map[uint64]*file{}
	for i := range 300 {
		f := &file{fd: i}
		files[h.add(f)] = f
	}
	require.Len(t, files, 300)
	for handle, f := range files {
		require.NotZero(t, handle)
		require.Same(t, f, h.get(handle))
	}
	require.Nil(t, h.get(1000))
}

func TestAHandleIsGivenAgainWhenItsFileIsClosed(t *testing.T) {
	var h handles[file]
	first, second := h.add(&file{fd: 1}), h.add(&file{fd: 2})
	require.Equal(t, 1, h.remove(first).fd)
	require.Nil(t, h.get(first))
	require.Nil(t, h.remove(first), "and is taken back once only")
	require.Equal(t, first, h.add(&file{fd: 3}))
	require.Equal(t, second+1, h.add(&file{fd: 4}))
	require.Equal(t, 3, h.get(first).fd)
}
