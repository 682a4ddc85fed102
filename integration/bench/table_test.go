//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// measured is a document's tables with a cell of every kind.
func measured() []section {
	return []section{
		{title: tmpfs, columns: []string{raw, clonefs, ofRaw, nativeIO}, lines: []line{
			{title: "random read 4 KiB, O_DIRECT, depth 32", unit: iops, cells: []cell{
				{known: true, value: 252_000}, {known: true, value: 74_612}, {known: true, value: 0.296, floor: 0.3}, {note: "no such flag"},
			}},
			{title: "headers of 10,000 volumes", unit: seconds, cells: []cell{
				{known: true, value: 0}, {known: true, value: 8.25}, {known: true, value: 15.1, floor: 15}, {},
			}},
		}},
		{title: scale, columns: []string{clonefs, "at most"}, lines: []line{
			{title: "a mount: ls", unit: seconds, cells: []cell{{known: true, value: 0.125}, {known: true, value: 1}}},
		}},
	}
}

func TestATableIsReadAsItWasWritten(t *testing.T) {
	written := document{intro: "# Title\n\n" + marker, facts: []fact{{"command", "bench --rows=a|b"}}, sections: measured()}
	read, err := parseDocument(written.String() + "\n| another | table |\n|---|---|\n| is | ignored |\n")
	require.NoError(t, err)
	require.Equal(t, measured(), read.sections)

	read.facts = written.facts
	require.Equal(t, written.String(), read.String())
}

func TestATableReadsAsATableOfMarkdown(t *testing.T) {
	require.Equal(t, `## tmpfs

| row | unit | raw | clonefs | clonefs/raw | native-io |
|---|---|---:|---:|---:|---:|
| random read 4 KiB, O_DIRECT, depth 32 | IOPS | 252,000 | 74,612 | **0.296** (≥ 0.3) | no such flag |
| headers of 10,000 volumes | s | 0 | 8.25 | 15.1 (≥ 15) | - |
`, measured()[0].String())
}

func TestNumbersKeepThreeDigits(t *testing.T) {
	for text, value := range map[string]float64{
		"0": 0, "0.004": 0.004, "0.312": 0.3123, "1.00": 1, "9.99": 9.988, "74.6": 74.61,
		"100": 100, "999": 999.4, "1,000": 999.6, "74,612": 74_612, "1,234,567": 1_234_567,
	} {
		require.Equal(t, text, number(value))
	}
}

func TestWhatIsWrittenByHandStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	byHand := "# Ours\n\n| row | unit |\n|---|---|\n| not measured | s |\n\n" + marker
	require.NoError(t, os.WriteFile(path, []byte(byHand+"\n## old\n\nold text\n"), 0o600))

	doc, err := readDocument(path)
	require.NoError(t, err)
	require.Empty(t, doc.sections, "a table by hand is none of ours")
	doc.sections = measured()
	text := doc.String()
	require.True(t, strings.HasPrefix(text, byHand))
	require.NotContains(t, text, "old text")
}

func TestADocumentWithoutTheMarkerIsNotOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.md")
	require.NoError(t, os.WriteFile(path, []byte("# Notes\n"), 0o600))
	_, err := readDocument(path)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, strings.TrimSpace(marker))
}

func TestWhereThereIsNoDocumentANewOneBegins(t *testing.T) {
	doc, err := readDocument(filepath.Join(t.TempDir(), "none.md"))
	require.NoError(t, err)
	again, err := parseDocument(doc.String())
	require.NoError(t, err)
	require.Equal(t, defaultIntro, again.intro)
}

func TestATableThatCouldNotBeMeasuredSaysWhyAndIsAnError(t *testing.T) {
	doc := document{intro: marker, sections: append(measured(), section{title: disk, failure: "no\nspace"})}
	require.Contains(t, doc.String(), "## disk\n\nNot measured: no space\n")
	require.ErrorContains(t, doc.incomplete(), "disk is not measured")
	again, err := parseDocument(doc.String())
	require.NoError(t, err)
	require.Equal(t, measured(), again.sections)
	require.NoError(t, again.incomplete())
}
