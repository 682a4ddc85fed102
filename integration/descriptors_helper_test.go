//go:build linux

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// descriptorsOf is what a process has open.
func descriptorsOf(t *testing.T, pid int) (targets []string) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil { // it may be closed by now
			targets = append(targets, target)
		}
	}
	return targets
}

// awaitWatching returns what a daemon has open as soon as it watches its source,
// which it begins to when it has mounted already.
func awaitWatching(t *testing.T, pid int) (descriptors []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		descriptors = descriptorsOf(t, pid)
		return slices.Contains(descriptors, "anon_inode:inotify")
	}, cliPatience, 10*time.Millisecond, "the daemon watches the source")
	return descriptors
}

// requireNothingLeftOpen requires that a daemon has no more open than before, but for
// the two ends of a pipe for each client there has been at once: a worker keeps its pipe
// when it has had to answer a large read.
func requireNothingLeftOpen(t *testing.T, pid int, before []string, clients int) {
	t.Helper()
	require.Eventually(t, func() bool {
		pipes, others := countPipes(descriptorsOf(t, pid))
		pipesBefore, othersBefore := countPipes(before)
		return others <= othersBefore && pipes <= pipesBefore+2*clients
	}, cliPatience, 10*time.Millisecond,
		"before: %q, now: %q", before, descriptorsOf(t, pid))
}

func countPipes(descriptors []string) (pipes, others int) {
	for _, d := range descriptors {
		if strings.HasPrefix(d, "pipe:") {
			pipes++
		}
	}
	return pipes, len(descriptors) - pipes
}
