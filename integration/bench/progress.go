//go:build linux

package main

import (
	"fmt"
	"io"
	"time"
)

// progress tells what is measured and how much time is left.
type progress struct {
	w       io.Writer
	started time.Time
	planned time.Duration // the estimates of all
	done    time.Duration // the estimates of what is over
	current time.Duration
	warned  map[string]bool
}

func newProgress(w io.Writer, plans []plan, opts options) *progress {
	p := &progress{w: w, started: time.Now(), warned: map[string]bool{}}
	for _, plan := range plans {
		p.planned += plan.takes(opts)
	}
	return p
}

// say tells what comes, and the time left.
func (p *progress) say(what string) {
	left := p.left(time.Since(p.started)).Round(10 * time.Second)
	_, _ = fmt.Fprintf(p.w, "%s (%v left)\n", what, left)
}

// warn tells what is wrong, once.
func (p *progress) warn(what string) {
	if !p.warned[what] {
		_, _ = fmt.Fprintln(p.w, "bench:", what)
	}
	p.warned[what] = true
}

// spend is called before something that takes about so long.
func (p *progress) spend(takes time.Duration) {
	p.done += p.current
	p.current = takes
}

// left corrects the estimates by how long the part took that is over.
func (p *progress) left(elapsed time.Duration) time.Duration {
	rest := p.planned - p.done
	if p.done < 30*time.Second {
		return rest
	}
	return time.Duration(float64(rest) * elapsed.Seconds() / p.done.Seconds())
}
