//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A cacheState says what the mount's page cache holds of the file at the start.
type cacheState int

const (
	anyCache cacheState = iota // O_DIRECT, or writes
	cold
	warm
)

// An fioJob is what fio does to an image.
type fioJob struct {
	rw     string
	bs     string
	engine string
	depth  int
	direct bool
	fsync  bool
	cache  cacheState
}

// args makes fio do the job to this file. The image's first MiB, with its header,
// stays out of it: it is written by no row.
func (j fioJob) args(fio, file string, runtime time.Duration) []string {
	args := []string{
		fio, "--name=bench", "--output-format=json", "--filename=" + file, "--offset=1M",
		"--allow_file_create=0", "--norandommap",
		"--rw=" + j.rw, "--bs=" + j.bs, "--ioengine=" + j.engine, fmt.Sprintf("--iodepth=%d", j.depth),
		fmt.Sprintf("--runtime=%d", int(runtime.Seconds())),
	}
	if j.direct {
		args = append(args, "--direct=1")
	}
	if j.fsync {
		args = append(args, "--fsync=1")
	}
	switch j.cache {
	case warm:
		args = append(args, "--invalidate=0", "--time_based")
	case anyCache:
		args = append(args, "--time_based")
	case cold: // one pass at most: the second one would be warm
	}
	return args
}

// prepare makes the page cache cold or warm. Warm is what the very same program
// left there when it read the file once and closed it. A disk is always read cold:
// mirrors read it through the page cache, also where the client says O_DIRECT.
func (j fioJob) prepare(ctx context.Context, at place, file string) error {
	switch {
	case j.cache == cold, at.backing.name == disk:
		return at.backing.forget()
	case j.cache == warm:
		_, err := command(ctx, at.tools.fio, "--name=warm", "--output-format=json", "--filename="+file,
			"--rw=read", "--bs=1M", "--ioengine=psync", "--invalidate=0", "--allow_file_create=0")
		return err
	default:
		return nil
	}
}

// run does the job at a place.
func (j fioJob) run(ctx context.Context, at place) (fioOutput, error) {
	file, err := at.path(ctx, imagePath)
	if err != nil {
		return fioOutput{}, err
	}
	if err := j.prepare(ctx, at, file); err != nil {
		return fioOutput{}, err
	}
	out, err := command(ctx, j.args(at.tools.fio, file, at.runtime)...)
	if err != nil {
		return fioOutput{}, err
	}
	return parseFio(out)
}

// fioOutput is what is used of fio's --output-format=json.
type fioOutput struct {
	Version string   `json:"fio version"`
	Jobs    []fioEnd `json:"jobs"`
}

type fioEnd struct {
	Error int          `json:"error"`
	Read  fioDirection `json:"read"`
	Write fioDirection `json:"write"`
}

type fioDirection struct {
	IOPS      float64 `json:"iops"`
	Bandwidth float64 `json:"bw_bytes"` // in bytes a second
	Latency   struct {
		N          int64              `json:"N"`
		Percentile map[string]float64 `json:"percentile"`
	} `json:"clat_ns"`
}

// parseFio takes the output of a run with one job. What fio remarks may stand
// before the JSON.
func parseFio(text string) (fioOutput, error) {
	var out fioOutput
	if err := json.Unmarshal([]byte(text[max(0, strings.Index(text, "{")):]), &out); err != nil {
		return out, fmt.Errorf("read fio's output: %w", err)
	}
	if len(out.Jobs) != 1 {
		return out, fmt.Errorf("fio ran %d jobs, not one", len(out.Jobs))
	}
	if job := out.Jobs[0]; job.Error != 0 || job.Read.IOPS+job.Write.IOPS == 0 {
		return out, fmt.Errorf("fio did nothing, or gave up with error %d", job.Error)
	}
	return out, nil
}

// values are what the run says for each of the figures.
func (o fioOutput) values(figures []figure) ([]float64, error) {
	values := make([]float64, 0, len(figures))
	for _, f := range figures {
		value, err := o.value(f)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

func (o fioOutput) value(f figure) (float64, error) {
	job := o.Jobs[0]
	switch f.unit {
	case iops:
		return job.Read.IOPS + job.Write.IOPS, nil
	case mibs:
		return (job.Read.Bandwidth + job.Write.Bandwidth) / mib, nil
	}
	side := job.Read
	if side.Latency.N == 0 {
		side = job.Write
	}
	nanos, ok := side.Latency.Percentile[f.percentile]
	if !ok {
		return 0, fmt.Errorf("fio told no percentile %q", f.percentile)
	}
	return nanos / 1000, nil
}
