package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on a terminal, and nothing elsewhere.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress begins a bar of several steps.
func newProgress(stderr io.Writer, what string, steps int) progress {
	file, ok := stderr.(*os.File)
	if steps < 2 || !ok || !term.IsTerminal(int(file.Fd())) {
		return progress{}
	}
	return progress{progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(file),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionClearOnFinish(),
	)}
}

// step advances the bar. What cannot be drawn is not missed.
func (p progress) step() {
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
}

// end takes the bar off the terminal, for what is printed next.
func (p progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
