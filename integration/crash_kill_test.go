//go:build linux

package integration

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

// What a client was told is stable is in the backing file, and nothing that the
// daemon has only in its memory.
func TestNothingAcknowledgedIsLostWhenTheDaemonIsKilled(t *testing.T) {
	l := newLoad(t)
	rounds := 50
	if !isPlainRun() {
		rounds = 5
	}
	for round := range rounds {
		l.start(t)
		l.await(t, 1+rand.Int64N(10))
		l.mount.Kill(t)
		l.halt()
		// EIO is for a request that the daemon was just reading: the kernel cannot copy
		// it any more (fuse_dev_do_read in fs/fuse/dev.c).
		l.checkErrors(t, append(endOfDaemon, syscall.EIO)...)
		l.mount.Start(t) // which takes the dead mount away
		l.check(t)
		t.Logf("round %d: the first writer had %d records acknowledged", round, l.writers[0].acked.Load())
	}
}
