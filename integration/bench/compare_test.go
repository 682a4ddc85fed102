//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// speed is a table with one row.
func speed(raw, clonefs, ratio float64) []section {
	return []section{{title: tmpfs, columns: []string{"raw", "clonefs", ofRaw}, lines: []line{{
		title: "reads", unit: iops,
		cells: []cell{{known: true, value: raw}, {known: true, value: clonefs}, {known: true, value: ratio}},
	}}}}
}

func TestARatioThatIsMoreThanATenthSmallerIsSlower(t *testing.T) {
	before := speed(1000, 500, 0.5)
	require.Equal(t, []string{"slower: tmpfs: reads, clonefs/raw: 0.440, was 0.500"}, slower(before, speed(1000, 440, 0.44)))
	require.Empty(t, slower(before, speed(1000, 460, 0.46)))
	require.Empty(t, slower(before, speed(1000, 900, 0.9)))
	require.Empty(t, slower(before, speed(100, 50, 0.5)), "a slower machine is not a slower clonefs")
}

func TestOnlyWhatWasMeasuredBothTimesIsCompared(t *testing.T) {
	now := speed(1000, 100, 0.1)
	require.Empty(t, slower(nil, now))

	elsewhere := speed(1000, 500, 0.5)
	elsewhere[0].title = disk
	require.Empty(t, slower(elsewhere, now))

	unknown := speed(1000, 500, 0.5)
	unknown[0].lines[0].cells[2] = cell{note: "failed"}
	require.Empty(t, slower(unknown, now))
	require.Empty(t, slower(speed(1000, 500, 0.5), unknown))
}

func TestColumnsAreComparedByTheirNames(t *testing.T) {
	before := speed(1000, 500, 0.5)
	now := []section{{title: tmpfs, columns: []string{ofRaw, ofBindfs}, lines: []line{{
		title: "reads", unit: iops, cells: []cell{{known: true, value: 0.5}, {known: true, value: 0.2}},
	}}}}
	require.Empty(t, slower(before, now))
	now[0].lines[0].cells[0].value = 0.2
	require.Len(t, slower(before, now), 1)
}

func TestWhatIsWishedAndNotReachedIsTold(t *testing.T) {
	now := measured()
	require.Equal(t, []string{
		"missed: tmpfs: random read 4 KiB, O_DIRECT, depth 32, clonefs/raw: **0.296** (≥ 0.3)",
	}, missed(now))

	now[1].lines[0].cells[0].value = 1.5
	require.Contains(t, missed(now), "missed: scale: a mount: ls: 1.50 s, wished is 1.00")
}
