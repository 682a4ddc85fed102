//go:build linux

package main

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Units.
const (
	iops    = "IOPS"
	mibs    = "MiB/s"
	micros  = "us"
	seconds = "s"
	opens   = "opens/s"
)

// A figure is one line of a table.
type figure struct {
	title      string
	unit       string
	percentile string             // of fio's latencies, where the unit is a time
	floors     map[string]float64 // the least that is wished, by column
}

// A row measures one thing in one place, which may give several figures.
type row struct {
	figures []figure
	by      takers
	on      []string      // names of the backings
	takes   time.Duration // about, beside the runtime of fio
	fio     bool
	measure func(ctx context.Context, at place) ([]float64, error)
}

// A place is where one subject has the files of a backing.
type place struct {
	options
	tools   tools
	backing *backing
	subject subject
	mounts  *mounts
}

// path returns where the subject has a file of the backing's source.
func (p place) path(ctx context.Context, path string) (string, error) {
	return p.mounts.path(ctx, p.subject, p.backing.source(), path)
}

// many returns where the subject has the many volumes.
func (p place) many(ctx context.Context) (string, error) {
	return p.mounts.path(ctx, p.subject, p.backing.many(), "")
}

// Columns that hold ratios.
const (
	ofRaw       = clonefs + "/" + raw
	ofBindfs    = clonefs + "/" + bindfs
	nativeOfRaw = nativeIO + "/" + raw
)

func floors(raw, bindfs float64) map[string]float64 {
	return map[string]float64{ofRaw: raw, ofBindfs: bindfs}
}

// fioRows are the rows that fio measures, on an image of the full size.
func fioRows() []row {
	small := fioJob{bs: "4k", engine: "libaio", depth: 32, direct: true}
	single := fioJob{bs: "4k", engine: "psync", depth: 1, direct: true}
	large := fioJob{bs: "1M", engine: "libaio", depth: 8, direct: true}
	large1 := fioJob{bs: "1M", engine: "psync", depth: 1, direct: true}
	mixed := fioJob{bs: "64k", engine: "libaio", depth: 8, direct: true}
	buffered := fioJob{engine: "psync", depth: 1}
	synced := fioJob{bs: "4k", engine: "psync", depth: 1, fsync: true}
	atDepth1 := map[string]float64{ofBindfs: 1.3}
	return []row{
		fioRow(small.does("randread"), rate("random read 4 KiB, O_DIRECT, depth 32", iops, floors(0.30, 8))).alsoOnDisk(),
		fioRow(small.does("randwrite"), rate("random write 4 KiB, O_DIRECT, depth 32", iops, floors(0.40, 15))).alsoOnDisk(),
		fioRow(single.does("randread"), withLatency("random read 4 KiB, O_DIRECT, depth 1", atDepth1)...).alsoOnDisk(),
		fioRow(single.does("randwrite"), withLatency("random write 4 KiB, O_DIRECT, depth 1", atDepth1)...).alsoOnDisk(),
		fioRow(mixed.does("randrw"), rate("random read and write 64 KiB, O_DIRECT, depth 8", iops, nil)),
		fioRow(large.does("read"), rate("sequential read 1 MiB, O_DIRECT, depth 8", mibs, floors(0.35, 1.2))).alsoOnDisk(),
		fioRow(large.does("write"), rate("sequential write 1 MiB, O_DIRECT, depth 8", mibs, floors(0.40, 1.1))).alsoOnDisk(),
		fioRow(large1.does("read"), rate("sequential read 1 MiB, O_DIRECT, depth 1", mibs, nil)),
		fioRow(large1.does("write"), rate("sequential write 1 MiB, O_DIRECT, depth 1", mibs, nil)),
		fioRow(buffered.reads("read", "64k", cold), rate("sequential read 64 KiB, buffered, cold", mibs, floors(0.35, 1.5))),
		fioRow(buffered.reads("read", "1M", cold), rate("sequential read 1 MiB, buffered, cold", mibs, floors(0.35, 1.5))).alsoOnDisk(),
		fioRow(buffered.reads("read", "64k", warm), rate("sequential read 64 KiB, buffered, warm", mibs, floors(0.95, 1.0))),
		fioRow(buffered.reads("read", "1M", warm), rate("sequential read 1 MiB, buffered, warm", mibs, floors(0.95, 1.0))),
		fioRow(buffered.reads("randread", "4k", warm), rate("random read 4 KiB, buffered, warm", iops, nil)),
		fioRow(synced.does("randwrite"), rate("random write 4 KiB, buffered, fsync after each", iops, nil)).alsoOnDisk(),
	}
}

func (j fioJob) does(rw string) fioJob {
	j.rw = rw
	return j
}

func (j fioJob) reads(rw, bs string, cache cacheState) fioJob {
	j.rw, j.bs, j.cache = rw, bs, cache
	return j
}

func rate(title, unit string, wished map[string]float64) figure {
	return figure{title: title, unit: unit, floors: wished}
}

// withLatency is a rate and percentiles of the latency.
func withLatency(title string, wished map[string]float64) []figure {
	return []figure{
		rate(title, iops, wished),
		{title: title + ": p50", unit: micros, percentile: "50.000000"},
		{title: title + ": p99", unit: micros, percentile: "99.000000"},
	}
}

// fioRow makes a row of a job. What is O_DIRECT should be nearly as fast as the
// raw file where the kernel does it itself.
func fioRow(job fioJob, figures ...figure) row {
	r := row{figures: figures, by: fioWriters, on: []string{tmpfs}, takes: 400 * time.Millisecond, fio: true}
	if job.rw == "read" || job.rw == "randread" {
		r.by = fioReaders
	}
	if job.cache == warm {
		r.takes += time.Second
	}
	if job.direct {
		r.figures[0].floors = withFloor(figures[0].floors, nativeOfRaw, 0.85)
	}
	r.measure = func(ctx context.Context, at place) ([]float64, error) {
		out, err := job.run(ctx, at)
		if err != nil {
			return nil, err
		}
		return out.values(figures)
	}
	return r
}

func withFloor(wished map[string]float64, column string, floor float64) map[string]float64 {
	all := map[string]float64{column: floor}
	maps.Copy(all, wished)
	return all
}

func (r row) alsoOnDisk() row {
	r.on = append(slices.Clone(r.on), disk)
	return r
}
