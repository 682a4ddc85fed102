//go:build linux

package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheMedianIsTheMiddleOrBetweenTheTwo(t *testing.T) {
	require.InDelta(t, 3.0, median([]float64{9, 1, 3}), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
	require.InDelta(t, 7.0, median([]float64{7}), 0)
	values := []float64{3, 1, 2}
	median(values)
	require.Equal(t, []float64{3, 1, 2}, values, "rounds stay in their order")
}

func TestARatioAboveOneIsFasterWhateverTheUnit(t *testing.T) {
	require.Equal(t, []float64{2, 0.5}, ratios(iops, []float64{200, 50}, []float64{100, 100}))
	require.Equal(t, []float64{0.5, 2}, ratios(micros, []float64{200, 50}, []float64{100, 100}))
	require.Equal(t, []float64{0.5}, ratios(seconds, []float64{2}, []float64{1}))
}

// cellOf returns the cell of a line in this column.
func cellOf(t *testing.T, l line, title string) cell {
	t.Helper()
	for i, c := range speedColumns() {
		if c == title {
			return l.cells[i]
		}
	}
	require.Fail(t, "no such column", title)
	return cell{}
}

func TestRatiosAreMadeWithinARound(t *testing.T) {
	s := newSamples(1)
	for _, round := range [][2]float64{{1200, 240}, {600, 300}, {400, 120}} { // ratios of 0.2, 0.5, 0.3
		s.add(raw, round[:1], nil)
		s.add(clonefs, round[1:], nil)
	}
	l := s.lines([]figure{{title: "reads", unit: iops, floors: floors(0.3, 8)}})[0]
	require.Equal(t, cell{known: true, value: 600}, cellOf(t, l, raw))
	require.Equal(t, cell{known: true, value: 240}, cellOf(t, l, clonefs))
	require.Equal(t, cell{known: true, value: 0.3, floor: 0.3}, cellOf(t, l, ofRaw), "and not 240/600")
	require.Equal(t, cell{}, cellOf(t, l, ofBindfs), "bindfs was not measured")
}

func TestASubjectThatFailsOnceHasANoteInsteadOfFigures(t *testing.T) {
	s := newSamples(1)
	s.add(raw, []float64{100}, nil)
	s.add(clonefs, []float64{50}, nil)
	s.add(raw, []float64{100}, nil)
	s.add(clonefs, nil, errors.New("no such file"))
	s.add(nativeIO, nil, noted{"no such flag", errors.New("too old")})
	l := s.lines([]figure{{title: "reads", unit: iops}})[0]
	require.Equal(t, cell{note: "failed"}, cellOf(t, l, clonefs))
	require.Equal(t, cell{}, cellOf(t, l, ofRaw))
	require.Equal(t, cell{note: "no such flag"}, cellOf(t, l, nativeIO))
	require.Equal(t, cell{known: true, value: 100}, cellOf(t, l, raw))
}

func TestARefusalIsFoundInTheLogOfClonefs(t *testing.T) {
	mounted := `time=2026-11-22T16:00:00Z level=INFO msg="serving" mountpoint=/mnt native-io=fio` + "\n"
	refused := `time=2026-11-22T16:00:01Z level=INFO msg="no native I/O" place=volume/image.vdi error="operation not permitted"`
	require.Equal(t, refused, refusal(mounted+refused+"\n"))
	require.Empty(t, refusal(mounted))
}
