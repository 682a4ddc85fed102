//go:build linux

package daemon

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Replace lets another daemon take the mount over (clonefs mount --replace) and returns
// when the one that had it has ended, which it must do without an error. The mount
// answers by then.
func (m *Mount) Replace(t testing.TB) {
	t.Helper()
	before := len(m.Log())
	old, taker := m.process, m.launch(t, slices.Insert(slices.Clone(m.args), 1, "--replace"))
	select {
	case <-taker.ended: // and the old one, which is still m's, goes on
		require.FailNow(t, "the mount was not taken over", "%v\n%s", taker.err, m.Log())
	case <-old.ended:
		m.process = taker
		m.awaitMounted(t, before)
	case <-time.After(4 * patience):
		_ = taker.cmd.Process.Kill()
		require.FailNow(t, "neither daemon ends", "%s", m.Log())
	}
	require.NoError(t, old.err, "the end of the daemon that had the mount\n%s", m.Log())
}
