package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

// tempTree returns a temporary directory, free of symbolic links, with these
// directories in it.
func tempTree(t *testing.T, dirs ...string) string {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for _, dir := range dirs {
		require.NoError(t, os.MkdirAll(filepath.Join(base, dir), 0o755))
	}
	return base
}

func noNotice(t *testing.T) func(string) {
	t.Helper()
	return func(line string) { t.Errorf("unexpected notice: %s", line) }
}

func TestAnEmptyDirectoryIsAMountpoint(t *testing.T) {
	base := tempTree(t, "mnt")
	require.NoError(t, os.Symlink("mnt", base+"/link"))
	t.Chdir(base)
	for _, path := range []string{"mnt", "./mnt/", base + "/mnt", "link"} {
		resolved, err := prepareMountpoint(path, false, noNotice(t))
		require.NoError(t, err, path)
		require.Equal(t, base+"/mnt", resolved, path)
	}
}

func TestAMountpointIsRefusedWithAnAnswer(t *testing.T) {
	base := tempTree(t, "full/of/things")
	require.NoError(t, os.WriteFile(base+"/file", nil, 0o600))
	require.NoError(t, os.Symlink("/", base+"/root"))
	for path, answer := range map[string]string{
		base + "/missing": "mkdir -p",
		base + "/file":    "not a directory",
		base + "/full":    "--nonempty",
		base + "/root":    "root directory",
		"/":               "root directory",
	} {
		_, err := prepareMountpoint(path, false, noNotice(t))
		require.ErrorContains(t, err, answer, path)
	}
}

func TestADirectoryThatIsNotEmptyCanBeAllowed(t *testing.T) {
	base := tempTree(t, "full/of/things")
	_, err := prepareMountpoint(base+"/full", true, noNotice(t))
	require.NoError(t, err)
}

func TestAMountpointMustBeApartFromTheSource(t *testing.T) {
	base := tempTree(t, "srv/vm/job-1/sub", "srv/vm2", "mnt")
	require.NoError(t, os.Symlink("srv/vm", base+"/link"))
	for name, c := range map[string]struct{ mountpoint, dir, want string }{
		"beside it":                       {"/mnt", "/srv/vm", ""},
		"a name that only begins alike":   {"/srv/vm2", "/srv/vm", ""},
		"the source itself":               {"/srv/vm", "/srv/vm", "cannot be the mount point too"},
		"inside the source":               {"/srv/vm/job-1", "/srv/vm", "is inside"},
		"deep inside the source":          {"/srv/vm/job-1/sub", "/srv/vm", "is inside"},
		"inside, named by a link":         {"/srv/vm/job-1", "/link", "is inside"},
		"around the source":               {"/srv", "/srv/vm", "would hide it"},
		"around a source named by a link": {"/srv", "/link", "would hide it"},
		"a source that has gone":          {"/mnt", "/gone", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkOverlap(base+c.mountpoint, []string{base + "/srv/vm2/none", base + c.dir})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestMountsAreDescribedForAMessage(t *testing.T) {
	require.Equal(t, "there is no mount of clonefs", describeMounts(nil))
	table := mounts.Table{{Dir: "/mnt/vm", Source: "zfs:tank/ci", Type: "fuse.clonefs"}, {Dir: "/", Type: "ext4"}}
	require.Equal(t, "clonefs is mounted on /mnt/vm (zfs:tank/ci)", describeMounts(table))
}
