package integration

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// isQuickRun tells whether somebody waits for the tests who works on the code: what
// repeats itself is to do so a few times only, since make test has it in full.
func isQuickRun() bool { return os.Getenv("CLONEFS_QUICK") != "" }

// isPlainRun tells whether a test that repeats itself may take its time. The runs
// on one processor and with the race detector take longer for each round, and look
// for what a few rounds show.
func isPlainRun() bool { return !isQuickRun() && !raceDetector && runtime.GOMAXPROCS(0) > 1 }

// soakTime is how long a soak test goes on: as the variable CLONEFS_SOAK says
// ("10m"), or else for a moment, which shows that the test itself works.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	long := 3 * time.Second
	if isQuickRun() {
		long = time.Second
	}
	if text := os.Getenv("CLONEFS_SOAK"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		require.NoError(t, err, "CLONEFS_SOAK")
	}
	endIfItHangs(t, long+10*time.Minute)
	return long
}

// endIfItHangs is go test's -timeout for a test whose time is not known beforehand.
func endIfItHangs(t *testing.T, limit time.Duration) {
	hanging := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%s goes on after %v", t.Name(), limit))
	})
	t.Cleanup(func() { hanging.Stop() })
}
