//go:build linux

package main

import (
	"fmt"
	"strings"
)

// tolerance is how much less a ratio may be before it counts as slower.
const tolerance = 0.10

// judge says what is slower than it was, and what is not as it is wished.
func judge(before, now []section) []string {
	return append(slower(before, now), missed(now)...)
}

// slower compares ratios only: figures of two days or machines are not alike.
func slower(before, now []section) []string {
	known := ratioCells(before)
	var found []string
	for _, r := range inOrder(now) {
		old, ok := known[r.where]
		if ok && r.value < old*(1-tolerance) {
			found = append(found, fmt.Sprintf("slower: %s: %s, was %s", r.where, number(r.value), number(old)))
		}
	}
	return found
}

// missed lists ratios below their floors, and figures of the scale above their
// bounds.
func missed(now []section) []string {
	var found []string
	for _, s := range now {
		for _, l := range s.lines {
			for i, c := range l.cells {
				if c.known && c.value < c.floor {
					found = append(found, fmt.Sprintf("missed: %s: %s, %s: %s", s.title, l.title, s.columns[i], c))
				}
			}
			if s.title == scale && l.cells[0].value > l.cells[1].value {
				found = append(found, fmt.Sprintf("missed: %s: %s: %s %s, wished is %s", s.title, l.title, l.cells[0], l.unit, l.cells[1]))
			}
		}
	}
	return found
}

// A ratio is a value of a column that compares two subjects.
type ratio struct {
	where string
	value float64
}

func inOrder(sections []section) []ratio {
	var found []ratio
	for _, s := range sections {
		for _, l := range s.lines {
			for i, c := range l.cells[:min(len(l.cells), len(s.columns))] {
				if c.known && strings.Contains(s.columns[i], "/") {
					found = append(found, ratio{s.title + ": " + l.title + ", " + s.columns[i], c.value})
				}
			}
		}
	}
	return found
}

func ratioCells(sections []section) map[string]float64 {
	cells := map[string]float64{}
	for _, r := range inOrder(sections) {
		cells[r.where] = r.value
	}
	return cells
}
