//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheTimesOfAProcessAreFoundBehindAnyName(t *testing.T) {
	used, err := parseProcessorTime("4711 (a ) b) S 1 4711 4711 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 9 0 100 1 1")
	require.NoError(t, err)
	require.Equal(t, 420*time.Millisecond, used)
	_, err = parseProcessorTime("4711 (x) S 1")
	require.Error(t, err)
}

func TestAMemoryLineIsReadInBytes(t *testing.T) {
	found, err := kibibytes("Name:\tclonefs\nVmRSS:\t    2048 kB\n", "VmRSS:")
	require.NoError(t, err)
	require.Equal(t, int64(2<<20), found)
	_, err = kibibytes("Name:\tclonefs\n", "VmRSS:")
	require.ErrorContains(t, err, "VmRSS:")
}
