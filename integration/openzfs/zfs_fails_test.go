package openzfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// breakable puts a zfs first into the PATH that does, while a file says so, what
// is in the file. It returns a function that writes the file, or with "" removes
// it. The test itself goes on with the real one.
func breakable(t *testing.T) (path string, do func(script string)) {
	t.Helper()
	dir := t.TempDir()
	path = "/usr/sbin:/sbin:/usr/local/sbin:" + os.Getenv("PATH")
	script := "#!/bin/sh\n[ -e '" + dir + "/script' ] && . '" + dir + "/script'\nPATH='" + path + "' exec zfs \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "zfs"), []byte(script), 0o755))
	return dir + ":" + os.Getenv("PATH"), func(script string) {
		file := filepath.Join(dir, "script")
		if script == "" {
			require.NoError(t, os.Remove(file))
			return
		}
		require.NoError(t, os.WriteFile(file+".new", []byte(script), 0o755))
		require.NoError(t, os.Rename(file+".new", file))
	}
}

func TestTheMountGoesOnWhenZFSDoesNot(t *testing.T) {
	for name, script := range map[string]string{
		"hangs":                           "exec sleep 8",
		"fails":                           "echo 'internal error: out of memory' >&2; exit 1",
		"is killed half-way":              "printf 'tank\\tguid\\t1'; kill -KILL $$",
		"prints what nobody understands":  "printf 'tank\\tguid\\tone\\t-\\n'; exit 0",
		"does not find the kernel module": "echo 'The ZFS modules are not loaded.' >&2; exit 1",
	} {
		t.Run(name, func(t *testing.T) {
			path, do := breakable(t)
			original := os.Getenv("PATH")
			t.Setenv("PATH", path)
			c := newClones(t)
			t.Setenv("PATH", original)
			c.job("known")
			c.job("leaves")
			c.requireOwn("known", "leaves")
			do(script)
			c.job("new")
			// The first may wait until zfs is seen to fail; then nobody waits.
			_, _ = os.Lstat(c.disk("new"))
			began := time.Now()
			for range 20 {
				c.requireGone("new")
				_, err := os.Lstat(c.disk("known"))
				require.NoError(t, err)
			}
			require.Less(t, time.Since(began), time.Second)
			c.ZFS("destroy", c.Dataset("ci/leaves"))
			c.requireGone("leaves")
			do("")
			require.Eventually(t, func() bool { _, err := os.Lstat(c.disk("new")); return err == nil }, 20*time.Second, 50*time.Millisecond)
			c.requireOwn("known", "new")
			log, err := os.ReadFile(c.log)
			require.NoError(t, err)
			require.LessOrEqual(t, strings.Count(string(log), "level=WARN"), 1, "%s", log)
		})
	}
}
