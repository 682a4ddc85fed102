package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSource(t *testing.T) {
	for text, want := range map[string]string{
		"dir:/srv/vm":    "dir:/srv/vm",
		"dir:vm":         "dir:vm",
		"/srv/vm":        "dir:/srv/vm",
		"./vm":           "dir:./vm",
		"../vm":          "dir:../vm",
		".":              "dir:.",
		"zfs:tank/ci":    "zfs:tank/ci",
		"zfs:.odd":       "zfs:.odd",
		"tank/ci":        "zfs:tank/ci",
		"tank":           "zfs:tank",
		"tank/with:that": "zfs:tank/with:that",
		"/srv/a:b":       "dir:/srv/a:b",
		"dir:a:b":        "dir:a:b",
	} {
		got, err := parseSource(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got.String(), text)
	}
}

func TestASourceMustNameSomething(t *testing.T) {
	for _, text := range []string{"", "dir:", "zfs:"} {
		_, err := parseSource(text)
		require.ErrorContains(t, err, "dir:PATH or zfs:DATASET", text)
	}
}

func TestADirectoryIsOpenedWithoutSymbolicLinks(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(base, "real/job-1"), 0o700))
	require.NoError(t, os.Symlink("real", filepath.Join(base, "link")))

	source, name, err := openSource(sourceName{directoryKind, filepath.Join(base, "link")}, false, nil)
	require.NoError(t, err)
	require.Equal(t, "dir:"+base+"/real", name.String())
	require.ElementsMatch(t, []string{base + "/real", base + "/real/job-1"}, sourceDirs(source))
}

func TestAForgottenDotIsNoticed(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("clones", 0o700))
	require.ErrorContains(t, directoryHint("clones"), "write dir:clones")
	require.NoError(t, directoryHint("tank"))
}
