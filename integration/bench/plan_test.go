//go:build linux

package main

import (
	"io"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func defaults(t *testing.T) options {
	t.Helper()
	opts, err := parseOptions([]string{"--disk=/disk"}, io.Discard)
	require.NoError(t, err)
	return opts
}

func TestEveryRowHasATitleOfItsOwnThatATableCanHold(t *testing.T) {
	for _, p := range plans(defaults(t)) {
		titles := map[string]bool{}
		for _, r := range p.rows {
			for _, f := range r.figures {
				require.False(t, titles[f.title], f.title)
				require.NotContains(t, f.title, "|")
				titles[f.title] = true
			}
		}
	}
}

func TestFloorsNameColumnsThatThereAre(t *testing.T) {
	for _, r := range fioRows() {
		for column := range r.figures[0].floors {
			require.Contains(t, speedColumns(), column)
		}
	}
}

func TestFloorsAreForMemoryOnly(t *testing.T) {
	for _, p := range plans(defaults(t)) {
		require.Equal(t, p.name == tmpfs, p.rows[0].figures[0].floors != nil, p.name)
	}
}

func TestOnlyRowsThatMatchArePlanned(t *testing.T) {
	opts := defaults(t)
	opts.rows = regexp.MustCompile("^btrfs: cp")
	found := plans(opts)
	require.Len(t, found, 1)
	require.Equal(t, reflinks, found[0].name)
	require.Len(t, found[0].rows, 3)
	require.False(t, found[0].scale)

	opts.rows = regexp.MustCompile("^scale: ")
	found = plans(opts)
	require.Len(t, found, 1)
	require.True(t, found[0].scale)
	require.Empty(t, found[0].rows)

	opts.rows = nil
	opts.disk = ""
	for _, p := range plans(opts) {
		require.NotEqual(t, disk, p.name)
	}
}

func TestTheTimeLeftFollowsWhatThePartTookThatIsOver(t *testing.T) {
	p := progress{planned: 10 * time.Minute}
	require.Equal(t, 10*time.Minute, p.left(0))
	p.spend(2 * time.Minute)
	p.spend(0)
	require.Equal(t, 16*time.Minute, p.left(4*time.Minute), "twice as long as estimated")
}
