//go:build linux

package main

// samples are the values of a row's figures, of each subject, one for a round.
type samples struct {
	values []map[string][]float64 // for each figure, by subject
	notes  map[string]string      // why a subject has none
}

func newSamples(figures int) samples {
	s := samples{values: make([]map[string][]float64, figures), notes: map[string]string{}}
	for i := range s.values {
		s.values[i] = map[string][]float64{}
	}
	return s
}

// add takes one round of a subject. With an error its other rounds are void too,
// since they have no like to be compared with.
func (s samples) add(subject string, values []float64, err error) {
	if err != nil {
		s.notes[subject] = note(err)
		for _, figure := range s.values {
			delete(figure, subject)
		}
		return
	}
	for i, value := range values {
		s.values[i][subject] = append(s.values[i][subject], value)
	}
}

// A column of the speed table: a subject, or one divided by another.
type column struct{ title, subject, against string }

var columns = []column{
	{raw, raw, ""},
	{clonefs, clonefs, ""},
	{ofRaw, clonefs, raw},
	{ofBindfs, clonefs, bindfs},
	{nativeIO, nativeIO, ""},
	{nativeOfRaw, nativeIO, raw},
	{bindfs, bindfs, ""},
	{loopback, loopback, ""},
	{xmount, xmount, ""},
}

func speedColumns() []string {
	titles := make([]string, 0, len(columns))
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	return titles
}

// lines are those of the table, one for each figure.
func (s samples) lines(figures []figure) []line {
	lines := make([]line, 0, len(figures))
	for i, f := range figures {
		l := line{title: f.title, unit: f.unit}
		for _, c := range columns {
			l.cells = append(l.cells, s.cell(s.values[i], f, c))
		}
		lines = append(lines, l)
	}
	return lines
}

func (s samples) cell(values map[string][]float64, f figure, c column) cell {
	own, against := values[c.subject], values[c.against]
	switch {
	case len(own) == 0 && c.against == "":
		return cell{note: s.notes[c.subject]}
	case len(own) == 0 || c.against != "" && len(against) == 0:
		return cell{}
	case c.against == "":
		return cell{known: true, value: median(own)}
	}
	return cell{known: true, value: median(ratios(f.unit, own, against)), floor: f.floors[c.title]}
}
