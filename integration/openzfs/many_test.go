package openzfs

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTwoHundredClonesMadeAtOnceAreAllThere(t *testing.T) {
	const count = 200
	c := newClones(t)
	began := time.Now()
	c.run("sh", "-c", fmt.Sprintf("seq %d | xargs -n 1 -P 4 sh -c 'zfs clone %s %s/job-$0'", count, c.dataset(snapshot), c.dataset("ci")))
	made := time.Since(began)

	began = time.Now()
	seen := make(map[[16]byte]bool, count)
	for line := range strings.Lines(c.zfs("get", "-Hp", "-r", "-o", "name,value", "-t", "filesystem", "guid", c.dataset("ci")) + "\n") {
		name, guid, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if name = strings.TrimPrefix(name, c.dataset("ci")); name != "" {
			c.requirePresented(name[1:], "zfs:"+guid)
			seen[c.uuid(c.disk(name[1:]))] = true
		}
	}
	read := time.Since(began)
	require.Len(t, seen, count, "UUIDs")
	entries, err := os.ReadDir(c.at)
	require.NoError(t, err)
	require.Len(t, entries, count)
	t.Logf("%d clones: %v to make (%v each), %v until all were read on the mount (%v each)", count, made, made/count, read, read/count)
}
