package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
)

// A scenario is something that a program does to a file system. It is played
// twice, in a plain directory and in a volume on the mount over such a directory
// of the same file system, and what the program sees must be the same.
type scenario struct {
	name string
	// given prepares the scenario's directory: as root, behind the mount.
	given func(g *given)
	// when plays it, in a process of its own whose working directory that is.
	when func(c *client)
}

// tables are all scenarios by subject: the process that plays them finds them
// here.
var tables = map[string][]scenario{
	"acls":        aclScenarios,
	"xattrs":      xattrScenarios,
	"permissions": permissionScenarios,
	"orphans":     orphanScenarios,
	"data":        dataScenarios,
	"copy":        copyScenarios,
	"locks":       lockScenarios,
	"listing":     listingScenarios,
	"paths":       pathScenarios,
	"rename":      renameScenarios,
	"links":       linkScenarios,
	"open":        openScenarios,
	"attributes":  attributeScenarios,
}

// A user is whom a scenario is played by.
type user struct {
	name     string
	uid, gid uint32
	groups   []uint32
}

const (
	nobody   = 65534
	member   = 65533
	staff    = 65532 // the group that member is in besides its own
	stranger = 65531 // nobody in the tests is this user, or in this group
)

var (
	root        = user{name: "root"}
	plainUser   = user{name: "a user", uid: nobody, gid: nobody}
	groupMember = user{name: "a member of a second group", uid: member, gid: member, groups: []uint32{staff}}
)

// patience is how long all scenarios of a table may take together.
const patience = 60 * time.Second

// sides are the two directories that must behave alike, and the one that is
// behind the second.
type sides struct{ plain, mounted, stored string }

// newSides mounts a volume that any user can reach: t.TempDir is for one only.
func newSides(t *testing.T) sides {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("playing scenarios as several users takes root")
	}
	base, err := os.MkdirTemp("", "clonefs-compare-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(base)) })
	require.NoError(t, os.Chmod(base, 0o755))
	// Names of equal length: some scenarios are about long paths.
	for _, name := range []string{"plain/vm", "store/vm", "mount"} {
		require.NoError(t, os.MkdirAll(filepath.Join(base, name), 0o755))
	}
	return sides{base + "/plain/vm", base + "/mount/vm", base + "/store/vm"}
}

// mount mounts over the stored side. A mount is nosuid and nodev otherwise,
// which the plain directory is not.
func (s sides) mount(t *testing.T, options fs.Options) {
	t.Helper()
	options.AllowOther = true
	options.MountOptions = []string{"dev", "suid"}
	m := &mounted{source: filepath.Dir(s.stored), mountpoint: filepath.Dir(s.mounted)}
	m.start(t, options)
}

// compare plays a table on both sides, once for each user.
func compare(t *testing.T, table string, users ...user) {
	t.Helper()
	require.NotEmpty(t, tables[table])
	s := newSides(t)
	s.mount(t, fs.Options{})
	for _, who := range users {
		t.Run("as "+who.name, func(t *testing.T) { s.play(t, table, who) })
	}
}

// play prepares and plays a table on both sides and compares what was seen.
func (s sides) play(t *testing.T, table string, who user) {
	t.Helper()
	where := strconv.Itoa(int(who.uid))
	for _, side := range []string{s.plain, s.stored} {
		prepare(t, filepath.Join(side, where), table, who)
	}
	s.replay(t, table, where, who)
}

// replay plays a table in two directories that are prepared.
func (s sides) replay(t *testing.T, table, where string, who user) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	plain := startClient(ctx, t, filepath.Join(s.plain, where), table, who)
	mounted := startClient(ctx, t, filepath.Join(s.mounted, where), table, who)
	want, got := plain.finish(t), mounted.finish(t)
	for _, sc := range tables[table] {
		t.Run(sc.name, func(t *testing.T) {
			require.NotEmpty(t, want[sc.name])
			requireSameSight(t, want[sc.name], got[sc.name])
		})
	}
}

// requireSameSight fails with the lines that differ, each with what led to it.
func requireSameSight(t *testing.T, plain, mounted []string) {
	t.Helper()
	if slices.Equal(plain, mounted) {
		return
	}
	if len(plain) != len(mounted) {
		require.Equal(t, strings.Join(plain, "\n"), strings.Join(mounted, "\n"))
	}
	var differ strings.Builder
	for i := range plain {
		if plain[i] != mounted[i] {
			before := strings.Join(plain[max(0, i-3):i], "; ")
			fmt.Fprintf(&differ, "after %s\n  plain:   %s\n  mounted: %s\n", before, plain[i], mounted[i])
		}
	}
	require.FailNow(t, "the mount differs from the directory", "%s", differ.String())
}

// prepare makes a directory for each scenario of a table, named by its index.
func prepare(t *testing.T, dir, table string, who user) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o755))
	for i, sc := range tables[table] {
		g := &given{t, filepath.Join(dir, strconv.Itoa(i)), who}
		require.NoError(t, os.Mkdir(g.dir, 0o755))
		require.NoError(t, os.Chown(g.dir, int(who.uid), int(who.gid)))
		if sc.given != nil {
			sc.given(g)
		}
	}
}
