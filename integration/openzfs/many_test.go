package openzfs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTwoHundredClonesMadeAtOnceAreAllThere(t *testing.T) {
	const count = 200
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("job-%d", i+1))
	}
	c := newClones(t)
	began := time.Now()
	c.Run("sh", "-c", fmt.Sprintf("seq %d | xargs -n 1 -P 4 sh -c 'zfs clone %s %s/job-$0'", count, c.Dataset(snapshot), c.Dataset("ci")))
	made := time.Since(began)

	began = time.Now()
	c.requireOwn(names...)
	read := time.Since(began)
	require.ElementsMatch(t, names, c.list(""))
	seen := make(map[[16]byte]bool, count)
	for _, name := range names {
		seen[c.uuid(c.disk(name))] = true
	}
	require.Len(t, seen, count, "UUIDs")
	t.Logf("%d clones: %v to make (%v each), %v until all were read on the mount (%v each)", count, made, made/count, read, read/count)
}
