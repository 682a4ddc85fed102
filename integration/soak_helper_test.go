package integration

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// isPlainRun tells whether a test that repeats itself may take its time. The runs
// on one processor and with the race detector take longer for each round, and look
// for what a few rounds show.
func isPlainRun() bool { return !raceDetector && runtime.GOMAXPROCS(0) > 1 }

// soakTime is how long a soak test goes on: as the variable CLONEFS_SOAK says
// ("10m"), or else usual, or a part of that where everything takes longer.
func soakTime(t *testing.T, usual time.Duration) time.Duration {
	t.Helper()
	if text := os.Getenv("CLONEFS_SOAK"); text != "" {
		long, err := time.ParseDuration(text)
		require.NoError(t, err, "CLONEFS_SOAK")
		return long
	}
	if isPlainRun() {
		return usual
	}
	return usual / 5
}
