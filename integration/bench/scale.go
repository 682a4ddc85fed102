//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// scale is the heading of what many volumes cost.
const scale = "scale"

const (
	// scaleTakes is about how long one round takes.
	scaleTakes = 25 * time.Second
	// settle is how long a mount may go on with what it was asked for before it
	// is watched at rest.
	settle = 2 * time.Second
	atRest = 5 * time.Second
)

const (
	mebibytes = "MiB"
	millis    = "ms"
)

func scaleTitle(volumes int) string {
	return "a mount of " + grouped(strconv.Itoa(volumes)) + " volumes"
}

// A scaled is one figure of the scale and the most that is wished.
type scaled struct {
	title, unit string
	most        float64
}

func scaledFigures(volumes int) []scaled {
	mount := scaleTitle(volumes)
	return []scaled{
		{mount + " answers after", seconds, 2},
		{mount + ": ls", seconds, 1},
		{mount + ": ls -l", seconds, 3},
		{mount + ": resident memory after stat and header of each", mebibytes, 150},
		{mount + ": a new volume can be looked up after", millis, 100},
		{mount + ": a new volume is listed after", millis, 100},
		{mount + ": processor time in 5 s at rest", seconds, 0},
		{mount + ": clonefs ls", seconds, 10},
	}
}

// measureScale measures a new mount in each round.
func measureScale(ctx context.Context, at place, rounds int, progress *progress) (section, error) {
	figures := scaledFigures(at.volumes)
	values := make([][]float64, len(figures))
	for round := range rounds {
		progress.say(fmt.Sprintf("%s: round %d of %d", scale, round+1, rounds))
		progress.spend(scaleTakes)
		measured, err := scaleRound(ctx, at, round)
		if err != nil {
			return section{title: scale, failure: err.Error()}, ctx.Err()
		}
		for i, value := range measured {
			values[i] = append(values[i], value)
		}
	}
	s := section{title: scale, columns: []string{clonefs, "at most"}}
	for i, f := range figures {
		s.lines = append(s.lines, line{title: f.title, unit: f.unit, cells: []cell{
			{known: true, value: median(values[i])}, {known: true, value: f.most},
		}})
	}
	return s, nil
}

// A watched is a mount of many volumes with what is measured of it.
type watched struct {
	place
	daemon *daemon
	values []float64
}

func scaleRound(ctx context.Context, at place, round int) (values []float64, err error) {
	w := watched{place: at}
	dir := filepath.Join(at.mounts.dir, fmt.Sprintf("scale-%d", round))
	err = w.addSeconds(func() error {
		argv := []string{at.tools.clonefs, "mount", "--foreground", at.backing.many(), dir}
		w.daemon, err = startDaemon(ctx, dir, argv)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.daemon.end()) }()
	for _, step := range []func(context.Context) error{
		w.listNames, w.listLong, w.touchAll, w.addVolume, w.rest, w.listImages,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return w.values, nil
}

func (w *watched) addSeconds(do func() error) error {
	took, err := timed(do)
	w.values = append(w.values, took.Seconds())
	return err
}

// runs measures how long a program takes.
func (w *watched) runs(ctx context.Context, argv ...string) error {
	return w.addSeconds(func() error {
		_, err := command(ctx, argv...)
		return err
	})
}

func (w *watched) listNames(ctx context.Context) error { return w.runs(ctx, "ls", w.daemon.mountpoint) }

func (w *watched) listLong(ctx context.Context) error {
	return w.runs(ctx, "ls", "-l", w.daemon.mountpoint)
}

func (w *watched) listImages(ctx context.Context) error {
	return w.runs(ctx, w.tools.clonefs, "ls", w.daemon.mountpoint)
}

func (w *watched) touchAll(ctx context.Context) error {
	if err := statVolumes(ctx, w.daemon.mountpoint); err != nil {
		return err
	}
	if err := readHeaders(ctx, w.daemon.mountpoint); err != nil {
		return err
	}
	resident, err := residentMemory(w.daemon.pid)
	w.values = append(w.values, float64(resident)/mib)
	return err
}

// addVolume moves a volume in, so that it is there whole in one moment.
func (w *watched) addVolume(ctx context.Context) error {
	const name = "new-volume"
	content, err := os.ReadFile(w.backing.many() + "." + smallImage)
	if err != nil {
		return err
	}
	made, moved := filepath.Join(w.backing.dir, name), filepath.Join(w.backing.many(), name)
	if err := makeVolume(made, content); err != nil {
		return err
	}
	defer os.RemoveAll(moved)
	if err := os.Rename(made, moved); err != nil {
		return err
	}
	start := time.Now()
	shown := filepath.Join(w.daemon.mountpoint, name, smallImage)
	if err := w.appears(ctx, start, func() (bool, error) { return exists(shown) }); err != nil {
		return err
	}
	return w.appears(ctx, start, func() (bool, error) { return lists(w.daemon.mountpoint, name) })
}

// appears measures the milliseconds from start until the answer is yes.
func (w *watched) appears(ctx context.Context, start time.Time, asked func() (bool, error)) error {
	for {
		yes, err := asked()
		took := time.Since(start)
		switch {
		case err != nil:
			return err
		case yes:
			w.values = append(w.values, float64(took.Microseconds())/1000)
			return nil
		case took > patience:
			return fmt.Errorf("a new volume is not seen after %v", patience)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func lists(dir, name string) (bool, error) {
	listing, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer listing.Close()
	names, err := listing.Readdirnames(-1)
	return slices.Contains(names, name), err
}

// rest measures the processor time of a mount that nobody asks for anything.
func (w *watched) rest(ctx context.Context) error {
	if err := wait(ctx, settle); err != nil {
		return err
	}
	before, err := processorTime(w.daemon.pid)
	if err != nil {
		return err
	}
	if err := wait(ctx, atRest); err != nil {
		return err
	}
	after, err := processorTime(w.daemon.pid)
	w.values = append(w.values, (after - before).Seconds())
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
