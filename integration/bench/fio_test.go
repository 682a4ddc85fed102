//go:build linux

package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func recorded(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(content)
}

func TestOfARunOfFioTheRateAndThePercentilesAreRead(t *testing.T) {
	out, err := parseFio(recorded(t, "randwrite.json"))
	require.NoError(t, err)
	values, err := out.values(withLatency("writes", nil))
	require.NoError(t, err)
	require.Equal(t, []float64{14146.853147, 60.160, 162.816}, values)
}

func TestOfAMixedRunReadsAndWritesAreAdded(t *testing.T) {
	out, err := parseFio("fio: a remark\n" + recorded(t, "randrw.json"))
	require.NoError(t, err)
	values, err := out.values([]figure{{unit: iops}, {unit: mibs}})
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{7918.081918 + 7952.047952, (518919416.0 + 521145414.0) / mib}, values, 1e-6)
}

func TestARunOfFioThatMeasuredNothingIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":    "fio: bad option",
		"nothing":    "",
		"no job":     `{"jobs": []}`,
		"two jobs":   `{"jobs": [{"read": {"iops": 1}}, {"read": {"iops": 1}}]}`,
		"no request": `{"jobs": [{"error": 0}]}`,
		"an error":   `{"jobs": [{"error": 22, "read": {"iops": 1}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseFio(text)
			require.Error(t, err)
		})
	}
}

func TestAPercentileThatFioDidNotTellIsAnError(t *testing.T) {
	out, err := parseFio(recorded(t, "randwrite.json"))
	require.NoError(t, err)
	_, err = out.values([]figure{{unit: micros, percentile: "12.000000"}})
	require.ErrorContains(t, err, "12.000000")
}

func TestOnlyWhatIsNotColdGoesOverAFileAgain(t *testing.T) {
	job := fioJob{rw: "read", bs: "64k", engine: "psync", depth: 1}
	for cache, again := range map[cacheState]bool{anyCache: true, warm: true, cold: false} {
		job.cache = cache
		args := job.args("fio", "image.vdi", 3*time.Second)
		require.Contains(t, args, "--runtime=3")
		if again {
			require.Contains(t, args, "--time_based")
		} else {
			require.NotContains(t, args, "--time_based")
		}
	}
}
