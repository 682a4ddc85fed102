package fs

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestWhatNeedsRoomIsTriedAgainWhereARemovedFileMakesSome(t *testing.T) {
	for name, v := range map[string]struct {
		is    bool // there when the call begins
		goes  bool // during the call
		calls int
	}{
		"nothing was removed":                              {false, false, 1},
		"a removed file is let go between two calls":       {true, false, 2},
		"a removed file is let go while a call finds none": {true, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(noVolumes{}, Options{})
			removed := &node{mirror: m}
			if v.is {
				m.orphans.add(removed)
			}
			calls := 0
			err := roomy(m, func() error {
				calls++
				if calls == 2 {
					return nil
				}
				if v.goes {
					m.orphans.remove(removed)
				}
				return unix.ENOSPC
			})
			require.Equal(t, v.calls, calls)
			require.Equal(t, v.calls == 1, err == unix.ENOSPC)
		})
	}
}
