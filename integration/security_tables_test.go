//go:build linux

package integration

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/daemon"
)

// The tables of who may do what are played through the program itself too, which
// has given up the privileges that it does not use: no table may need them. Its
// mounts are nodev and nosuid, so the plain directory is made to be as well.
func TestCLIDaemonDoesAllThatTheTablesHold(t *testing.T) {
	for _, table := range []string{"acls", "attributes", "calls", "links", "open", "orphans", "permissions", "rename", "sticky", "xattrs"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			users := []user{root, plainUser, groupMember}
			s := newSides(t)
			s.mountSmall(t, "size=64m,mode=755")
			s.prepare(t, table, users...)
			remountPlain(t, s.plain, unix.MS_NODEV|unix.MS_NOSUID)
			m := daemon.Start(t, filepath.Dir(s.stored), filepath.Dir(s.mounted), "--allow-other")
			requireConfined(t, m.PID())
			s.play(t, table, users...)
		})
	}
}
