package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpandPattern(t *testing.T) {
	for name, c := range map[string]struct {
		pattern string
		numbers numbering
		want    []string
	}{
		"plain":                       {"job-%d", numbering{1, 3}, []string{"job-1", "job-2", "job-3"}},
		"with leading zeros":          {"job-%03d", numbering{9, 2}, []string{"job-009", "job-010"}},
		"numbers that grow too long":  {"%02d", numbering{99, 2}, []string{"99", "100"}},
		"in the middle":               {"tank/%d/x", numbering{0, 1}, []string{"tank/0/x"}},
		"with a percent sign by name": {"100%%-%d%%", numbering{7, 1}, []string{"100%-7%"}},
		"two digits that are 0":       {"%0d", numbering{5, 1}, []string{"5"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.numbers.expand(c.pattern)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestExpandRefusesWhatPrintsNoNumberOrMore(t *testing.T) {
	for _, pattern := range []string{"", "job", "job-%", "%d-%d", "%s", "%x", "%-3d", "%03", "%1000d", "%[1]d", "%%", "%%d", "%d%", "%+d", "%*d"} {
		_, err := numbering{1, 1}.expand(pattern)
		require.ErrorContains(t, err, "is no pattern", "%q", pattern)
	}
}

func TestTargets(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		kind     string
		names    []string
		identity string
		numbers  *numbering
		want     []cloneTarget
	}{
		"datasets":                   {datasetKind, []string{"tank/a", "zfs:tank/b"}, "", nil, []cloneTarget{{"tank/a", ""}, {"tank/b", ""}}},
		"a pinned one":               {datasetKind, []string{"tank/a"}, "ci-7", nil, []cloneTarget{{"tank/a", "ci-7"}}},
		"numbered ones":              {datasetKind, []string{"zfs:tank/%d"}, "", &numbering{1, 2}, []cloneTarget{{"tank/1", ""}, {"tank/2", ""}}},
		"numbered and pinned ones":   {datasetKind, []string{"tank/%d"}, "ci-%02d", &numbering{1, 2}, []cloneTarget{{"tank/1", "ci-01"}, {"tank/2", "ci-02"}}},
		"directories":                {directoryKind, []string{"/srv/a/", "dir:b"}, "", nil, []cloneTarget{{"/srv/a", ""}, {filepath.Join(here, "b"), ""}}},
		"a dataset with an odd name": {datasetKind, []string{"tank/a:b"}, "", nil, []cloneTarget{{"tank/a:b", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := targetsOf(c.kind, c.names, c.identity, c.numbers)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}
