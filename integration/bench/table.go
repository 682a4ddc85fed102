//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A section of the document is a heading with a table.
type section struct {
	title   string
	columns []string // beside those of the row and its unit
	lines   []line
	failure string // why there is no table
}

type line struct {
	title, unit string
	cells       []cell
}

// A cell is a value, a note why there is none, or nothing.
type cell struct {
	known bool
	value float64
	floor float64 // the least that is wished, 0 for none
	note  string
}

const noValue = "-"

func (c cell) String() string {
	switch {
	case !c.known && c.note == "":
		return noValue
	case !c.known:
		return c.note
	case c.floor == 0:
		return number(c.value)
	case c.value < c.floor:
		return fmt.Sprintf("**%s** (≥ %g)", number(c.value), c.floor)
	default:
		return fmt.Sprintf("%s (≥ %g)", number(c.value), c.floor)
	}
}

// parseCell reads what String wrote. Anything else is a note.
func parseCell(text string) cell {
	figure, floor, hasFloor := strings.Cut(strings.TrimSuffix(text, ")"), " (≥ ")
	value, err := parseNumber(strings.Trim(figure, "*"))
	switch {
	case err == nil && hasFloor:
		least, err := strconv.ParseFloat(floor, 64)
		if err != nil {
			return cell{note: text}
		}
		return cell{known: true, value: value, floor: least}
	case err == nil:
		return cell{known: true, value: value}
	case text == noValue:
		return cell{}
	default:
		return cell{note: text}
	}
}

// number writes three significant digits at least: 0.312, 8.25, 74.6, 74,612.
func number(value float64) string {
	switch {
	case value == 0:
		return "0"
	case value < 1:
		return strconv.FormatFloat(value, 'f', 3, 64)
	case value < 10:
		return strconv.FormatFloat(value, 'f', 2, 64)
	case value < 100:
		return strconv.FormatFloat(value, 'f', 1, 64)
	default:
		return grouped(strconv.FormatFloat(value, 'f', 0, 64))
	}
}

// grouped puts commas between groups of three digits.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func parseNumber(text string) (float64, error) {
	return strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
}

func (s section) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", s.title)
	if s.failure != "" {
		return b.String() + "Not measured: " + strings.Join(strings.Fields(s.failure), " ") + "\n"
	}
	writeRow(&b, append([]string{"row", "unit"}, s.columns...))
	b.WriteString("|---|---|" + strings.Repeat("---:|", len(s.columns)) + "\n")
	for _, l := range s.lines {
		texts := []string{l.title, l.unit}
		for _, c := range l.cells {
			texts = append(texts, c.String())
		}
		writeRow(&b, texts)
	}
	return b.String()
}

func writeRow(b *strings.Builder, texts []string) {
	b.WriteString("| " + strings.Join(texts, " | ") + " |\n")
}

// parseSections finds the sections in a document, and leaves out what is none.
func parseSections(text string) []section {
	var sections []section
	var title string
	var open bool // whether lines belong to the last section's table
	for row := range strings.Lines(text) {
		row = strings.TrimSpace(row)
		if heading, ok := strings.CutPrefix(row, "## "); ok {
			title = heading
		}
		texts := splitRow(row)
		switch {
		case len(texts) < 2:
			open = false
		case texts[0] == "row" && texts[1] == "unit":
			sections = append(sections, section{title: title, columns: texts[2:]})
			open = true
		case open && !strings.HasPrefix(texts[0], "---"):
			last := &sections[len(sections)-1]
			last.lines = append(last.lines, parseLine(texts))
		}
	}
	return sections
}

// splitRow returns the texts of a table's row, nothing for another line.
func splitRow(row string) []string {
	inner, ok := strings.CutPrefix(row, "|")
	if !ok {
		return nil
	}
	texts := strings.Split(strings.TrimSuffix(inner, "|"), "|")
	for i := range texts {
		texts[i] = strings.TrimSpace(texts[i])
	}
	return texts
}

func parseLine(texts []string) line {
	l := line{title: texts[0], unit: texts[1]}
	for _, text := range texts[2:] {
		l.cells = append(l.cells, parseCell(text))
	}
	return l
}
