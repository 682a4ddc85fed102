//go:build linux

package main

import (
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWithoutFlagsAllIsMeasured(t *testing.T) {
	opts, err := parseOptions(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 5, opts.rounds)
	require.Equal(t, 2*time.Second, opts.runtime)
	require.Equal(t, int64(2<<30), opts.size)
	require.Equal(t, defaultDocument, opts.out)
	require.False(t, opts.partial())
	for _, name := range subjectNames() {
		require.True(t, opts.wantsSubject(name))
	}
}

func TestWrongFlagsAreToldBeforeAnythingIsMeasured(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"a flag that there is not":    {[]string{"--fast"}, "fast"},
		"an argument":                 {[]string{"now"}, `"now"`},
		"no round":                    {[]string{"--rounds=0"}, "--rounds=0"},
		"half a second":               {[]string{"--runtime=500ms"}, "--runtime=500ms"},
		"a part of a second":          {[]string{"--runtime=1500ms"}, "--runtime=1.5s"},
		"no volume":                   {[]string{"--volumes=0"}, "--volumes=0"},
		"a size without a unit":       {[]string{"--size=2048"}, "--size=2048"},
		"a size that is none":         {[]string{"--size=big"}, "--size=big"},
		"no size":                     {[]string{"--size="}, "--size="},
		"a size of two units":         {[]string{"--size=1MG"}, "--size=1MG"},
		"a size too small":            {[]string{"--size=1M"}, "16M at least"},
		"rows that are no expression": {[]string{"--rows=("}, "("},
		"a subject that there is not": {[]string{"--subjects=raw,zfs"}, `"zfs"`},
		"a part into the document":    {[]string{"--rows=read"}, "--out"},
		"no disk into the document":   {[]string{"--disk="}, "--out"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseOptions(tc.args, io.Discard)
			require.ErrorIs(t, err, errUsage)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	_, err := parseOptions([]string{"--help"}, io.Discard)
	require.ErrorIs(t, err, flag.ErrHelp)
	require.NotErrorIs(t, err, errUsage)
}

func TestAPartGoesWhereTheUserSays(t *testing.T) {
	opts, err := parseOptions([]string{"--rows=^disk: ", "--subjects=raw,clonefs", "--size=64M", "--out=-"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, defaultDocument, opts.document(), "what it is compared with")
	require.Equal(t, int64(64<<20), opts.size)
	require.True(t, opts.wants(disk, "random read"))
	require.False(t, opts.wants(tmpfs, "random read"))
	require.False(t, opts.wantsSubject(bindfs))
}
