package integration

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
)

// A requestCounter is a log handler that counts the requests of the kernel, which a
// mount logs when its Options say Debug: "rx 12: READ n3 ...".
type requestCounter struct {
	slog.Handler // what gets all else

	mu     sync.Mutex
	counts map[string]int
}

func (c *requestCounter) Enabled(context.Context, slog.Level) bool { return true }

// Handle counts a line, or passes it on.
func (c *requestCounter) Handle(ctx context.Context, r slog.Record) error {
	if fields := strings.Fields(r.Message); len(fields) > 2 && fields[0] == "rx" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.counts[fields[2]]++
		return nil
	}
	if !c.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return c.Handler.Handle(ctx, r)
}

func (c *requestCounter) snapshot() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// mountCounted mounts as mount does, for requests.
func mountCounted(t *testing.T, options fs.Options, volumes ...string) *mounted {
	t.Helper()
	options.Debug = true
	return mount(t, options, volumes...)
}

// requests returns what the kernel sent to a mount of mountCounted while use ran,
// by the names of linux/fuse.h. Use has to close what it opens, and nothing else:
// the last request of a file, RELEASE, is waited for, since close(2) does not.
// What the kernel forgets or interrupts is its own business and not counted.
func requests(t *testing.T, m *mounted, use func()) map[string]int {
	t.Helper()
	before := m.requests.snapshot()
	use()
	var sent map[string]int
	require.Eventually(t, func() bool {
		sent = m.requests.snapshot()
		for name, n := range before {
			if sent[name] -= n; sent[name] == 0 {
				delete(sent, name)
			}
		}
		return sent["RELEASE"] >= sent["OPEN"]+sent["CREATE"]
	}, 10*time.Second, time.Millisecond, "the kernel tells of the last close")
	for _, name := range []string{"FORGET", "BATCH_FORGET", "INTERRUPT"} {
		delete(sent, name)
	}
	return sent
}
