//go:build linux

package main

import "slices"

// median of at least one value.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratios compares two subjects round by round, so that what slows down a whole
// round weighs on both. Above 1 is faster than against, whatever the unit.
func ratios(unit string, values, against []float64) []float64 {
	compared := make([]float64, len(values))
	for i := range values {
		compared[i] = values[i] / against[i]
		if isTime(unit) {
			compared[i] = against[i] / values[i]
		}
	}
	return compared
}

// isTime says whether less is better.
func isTime(unit string) bool { return unit == seconds || unit == micros }
