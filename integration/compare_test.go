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
	"golang.org/x/sys/unix"

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
	"full":        fullScenarios,
	"readonly":    readOnlyScenarios,
	"listing":     listingScenarios,
	"paths":       pathScenarios,
	"rename":      renameScenarios,
	"links":       linkScenarios,
	"open":        openScenarios,
	"attributes":  attributeScenarios,
	"calls":       callScenarios,
	"sticky":      stickyScenarios,
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

// directory is where the user's scenarios are.
func (u user) directory() string { return strconv.Itoa(int(u.uid)) }

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

// compare plays a table on both sides, on the file system that temporary files
// are on, once for each user.
func compare(t *testing.T, table string, users ...user) {
	t.Helper()
	s := newSides(t)
	s.mount(t, fs.Options{})
	s.prepare(t, table, users...)
	s.play(t, table, users...)
}

// compareInMemory is compare on tmpfs, for tables that make so many files that
// it takes long elsewhere.
func compareInMemory(t *testing.T, table string, users ...user) {
	t.Helper()
	s := newSides(t)
	s.mountSmall(t, "size=64m,mode=755")
	s.mount(t, fs.Options{})
	s.prepare(t, table, users...)
	s.play(t, table, users...)
}

// mountSmall makes each side a file system of its own, for the time of the test.
func (s sides) mountSmall(t *testing.T, options string) {
	t.Helper()
	for _, dir := range []string{s.plain, s.stored} {
		require.NoError(t, unix.Mount("none", dir, "tmpfs", 0, options))
		t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	}
}

// prepare makes a directory for each user, and in it one for each scenario.
func (s sides) prepare(t *testing.T, table string, users ...user) {
	t.Helper()
	require.NotEmpty(t, tables[table])
	for _, who := range users {
		for _, side := range []string{s.plain, s.stored} {
			prepare(t, filepath.Join(side, who.directory()), table, who)
		}
	}
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

// play plays a table that was prepared, by all users at once, and compares what
// each saw.
func (s sides) play(t *testing.T, table string, users ...user) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	clients := map[string][2]*startedClient{}
	for _, who := range users {
		clients[who.name] = [2]*startedClient{
			startClient(ctx, t, filepath.Join(s.plain, who.directory()), table, who),
			startClient(ctx, t, filepath.Join(s.mounted, who.directory()), table, who),
		}
	}
	for _, who := range users {
		t.Run("as "+who.name, func(t *testing.T) {
			want, got := clients[who.name][0].finish(t), clients[who.name][1].finish(t)
			for _, sc := range tables[table] {
				t.Run(sc.name, func(t *testing.T) {
					require.NotEmpty(t, want[sc.name])
					requireSameSight(t, want[sc.name], got[sc.name])
				})
			}
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
