//go:build linux

package poweroff_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/openzfs/guest"
	"github.com/clonefs/clonefs/integration/records"
)

const (
	volumes = 16 // each with a writer
	rounds  = 3
)

func TestNothingAcknowledgedIsLostWhenThePowerGoesOff(t *testing.T) {
	if reason := guest.Missing(); reason != "" {
		t.Skip(reason)
	}
	m := newMachine(t)
	before := m.boot(t, 1, true)
	require.Len(t, before.found, volumes)
	for round := range rounds {
		now := m.boot(t, round+2, round+1 < rounds)
		now.check(t, before)
		t.Logf("round %d: %d records had been acknowledged to %d writers", round+1, before.records(), volumes)
		before = now
	}
}

// A machine is a virtual one with a disk that outlives it.
type machine struct {
	disk  guest.Disk
	files []guest.File
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	image := filepath.Join(t.TempDir(), "pool.qcow2")
	// Small clusters make it rare that two writes go to one, of which only the
	// first is lost (see guest.Disk).
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4096", image, "1G").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return &machine{
		disk: guest.Disk{Image: image, Place: poolDevice, Writable: true, Cached: true},
		files: []guest.File{
			{From: self, To: "/srv/poweroff.test"},
			{From: daemon.Binary(t), To: "/usr/local/bin/clonefs"},
			{From: "../../../vdi/testdata/vbox-7.2-dynamic.bin", To: goldenFile},
		},
	}
}

// boot starts the machine, which reports what it finds. Under load, its power goes
// off when some records have been acknowledged, and else it ends by itself.
func (m *machine) boot(t *testing.T, number int, load bool) *run {
	t.Helper()
	const limit = 5 * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ctx, off := context.WithCancelCause(ctx)
	defer off(nil)
	r := newRun(func() { off(guest.ErrPowerOff) })
	opts := guest.Options{
		Command: []string{"/srv/poweroff.test", "-test.v", "-test.run=^" + guestTest + "$"},
		Env:     []string{fmt.Sprintf("%s=%d", bootVariable, number)},
		Files:   m.files, Disks: []guest.Disk{m.disk}, Memory: 1024, Output: r,
	}
	if load {
		opts.Env = append(opts.Env, loadVariable+"=1")
	}
	status, err := guest.Run(ctx, opts)
	if load {
		require.ErrorIs(t, err, guest.ErrPowerOff, "status %d: %s", status, &r.log)
		return r
	}
	require.NoError(t, err, "%s", &r.log)
	require.Zero(t, status, "%s", &r.log)
	return r
}

// A run is what a machine has said in one run. It is the machine's Output.
type run struct {
	found        map[string]state
	acknowledged map[string]int64
	log          bytes.Buffer // what else it has said
	line         []byte       // what has come of the next one
	off          func()
	messages     int // of acknowledged records, when the power goes off
}

func newRun(off func()) *run {
	return &run{found: make(map[string]state), acknowledged: make(map[string]int64), off: off, messages: 500 + rand.IntN(500)}
}

func (r *run) Write(p []byte) (int, error) {
	r.line = append(r.line, p...)
	for {
		line, rest, whole := bytes.Cut(r.line, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		r.hear(line)
		r.line = rest
	}
}

func (r *run) hear(line []byte) {
	var m message
	switch {
	case json.Unmarshal(line, &m) != nil:
		fmt.Fprintf(&r.log, "%s\n", line)
	case m.Found != nil:
		r.found[m.Volume] = *m.Found
	default:
		r.acknowledged[m.Volume] = m.Records
		if r.messages--; r.messages <= 0 && len(r.acknowledged) == volumes {
			r.off()
		}
	}
}

// records are those that have been acknowledged.
func (r *run) records() (sum int64) {
	for _, n := range r.acknowledged {
		sum += n
	}
	return sum
}

// check checks that this run found all that was acknowledged in the one before.
func (r *run) check(t *testing.T, before *run) {
	t.Helper()
	require.Len(t, r.found, volumes, "%s", &r.log)
	for volume, found := range r.found {
		acknowledged := before.acknowledged[volume]
		require.Equal(t, before.found[volume].UUID, found.UUID, volume)
		require.GreaterOrEqual(t, found.Records, acknowledged, "records of %s that were acknowledged", volume)
		require.Contains(t, records.Modifications(acknowledged), found.Modification, "the header of %s", volume)
	}
}
