//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// imagesTake is about how long it takes to make the images of a backing.
const imagesTake = 5 * time.Second

// A plan is what is measured on one backing.
type plan struct {
	name   string
	rounds int
	rows   []row
	scale  bool
}

// plans are those that have something to measure, in the document's order.
func plans(opts options) []plan {
	rows := slices.Concat(fioRows(), programRows(opts.volumes))
	var wanted []plan
	for _, name := range []string{tmpfs, reflinks, disk} {
		if name == disk && opts.disk == "" {
			continue
		}
		p := plan{name: name, rounds: opts.rounds, scale: name == tmpfs && opts.wants(scale, scaleTitle(opts.volumes))}
		if name != tmpfs {
			p.rounds = fewer(opts.rounds)
		}
		for _, r := range rows {
			if slices.Contains(r.on, name) && opts.wants(name, r.figures[0].title) {
				p.rows = append(p.rows, r.wishedOn(name))
			}
		}
		if p.scale || len(p.rows) > 0 {
			wanted = append(wanted, p)
		}
	}
	return wanted
}

// wishedOn leaves floors only where a mirror's own cost is measured: on a disk they
// would be the disk's.
func (r row) wishedOn(backing string) row {
	if backing == tmpfs {
		return r
	}
	r.figures = slices.Clone(r.figures)
	for i := range r.figures {
		r.figures[i].floors = nil
	}
	return r
}

// fewer rounds are for what is slow, or noisy for other reasons than a mirror's.
func fewer(rounds int) int { return min(3, rounds) }

// takes is about how long a plan takes.
func (p plan) takes(opts options) time.Duration {
	total := imagesTake
	for _, r := range p.rows {
		for _, s := range subjects {
			if r.by.include(s.name) && opts.wantsSubject(s.name) {
				total += time.Duration(p.rounds) * r.duration(opts)
			}
		}
	}
	if p.scale {
		total += time.Duration(fewer(p.rounds)) * scaleTakes
	}
	return total
}

func (r row) duration(opts options) time.Duration {
	if r.fio {
		return r.takes + opts.runtime
	}
	return r.takes
}

// measureAll carries out all plans and leaves nothing behind.
func measureAll(ctx context.Context, opts options) (doc document, err error) {
	wanted := plans(opts)
	if len(wanted) == 0 {
		return doc, usageError(errors.New("--rows matches nothing"))
	}
	dir, err := os.MkdirTemp("", "clonefs-bench-")
	if err != nil {
		return doc, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := checkRoom(wanted, opts); err != nil {
		return doc, err
	}
	t, err := findTools(ctx, opts, dir)
	if err != nil {
		return doc, err
	}
	if doc.facts, err = machineFacts(ctx, opts, t); err != nil {
		return doc, err
	}
	progress := newProgress(os.Stderr, wanted, opts)
	for _, p := range wanted {
		found, err := p.measure(ctx, opts, t, dir, progress)
		if ctx.Err() != nil {
			return doc, fmt.Errorf("interrupted: %w", err)
		}
		// What else is measured is worth having.
		if err != nil {
			progress.warn(err.Error())
			found = append(found, section{title: p.name, failure: err.Error()})
		}
		doc.sections = append(doc.sections, found...)
	}
	return doc, nil
}

// measure sets up the backing and measures all rows on it.
func (p plan) measure(ctx context.Context, opts options, t tools, dir string, progress *progress) (found []section, err error) {
	progress.say(p.name + ": making the images")
	progress.spend(imagesTake)
	b, err := newBacking(ctx, p.name, dir, opts)
	defer func() { err = errors.Join(err, b.end()) }()
	if err != nil {
		return nil, err
	}
	mounts := newMounts(t, filepath.Join(dir, "mounts-"+p.name))
	defer func() { err = errors.Join(err, mounts.end()) }()
	at := place{options: opts, tools: t, backing: b, mounts: mounts}
	table := section{title: p.name, columns: speedColumns()}
	for _, r := range p.rows {
		values := newSamples(len(r.figures))
		for round := range p.rounds {
			progress.say(fmt.Sprintf("%s: %s, round %d of %d", p.name, r.figures[0].title, round+1, p.rounds))
			if err := r.round(ctx, at, values, progress); err != nil {
				return nil, err
			}
		}
		table.lines = append(table.lines, values.lines(r.figures)...)
	}
	if len(p.rows) > 0 {
		found = append(found, table)
	}
	if p.scale {
		table, err := measureScale(ctx, at, fewer(p.rounds), progress)
		return append(found, table), err
	}
	return found, nil
}

// round measures every subject in turn, so that a machine that grows slower
// does so for all of them.
func (r row) round(ctx context.Context, at place, values samples, progress *progress) error {
	for _, s := range subjects {
		if !r.by.include(s.name) || !at.wantsSubject(s.name) {
			continue
		}
		progress.spend(r.duration(at.options))
		if values.notes[s.name] != "" {
			continue // it failed before
		}
		at.subject = s
		measured, err := r.measure(ctx, at)
		if err == nil && s.name == nativeIO {
			err = at.mounts.refused()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			progress.warn(s.name + ": " + err.Error())
		}
		values.add(s.name, measured, err)
	}
	return nil
}
