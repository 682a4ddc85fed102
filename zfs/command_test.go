package zfs

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeZFS is a program that does what a shell script says.
func fakeZFS(t *testing.T, script string) Command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zfs")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
	return Command{Path: path}
}

// saying is a fake zfs that writes this to its standard output and error, with the
// end property that it is asked for in place of the recorded one.
func saying(t *testing.T, stdout, stderr, exit string) Command {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stdout"), []byte(stdout), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stderr"), []byte(stderr), 0o600))
	return fakeZFS(t, `for a; do case $a in *,clonefs:end-*) end=${a##*,} ;; esac; done
sed "s/`+recordedEnd+`/$end/" '`+dir+`/stdout'
cat '`+dir+`/stderr' >&2
exit `+exit)
}

const oneDataset = "tank/a\tguid\t5\t-\ntank/a\tclonefs:identity\t-\t-\ntank/a\t" + recordedEnd + "\t-\t-\n"

func TestListTellsOfTheDatasetAndAllBelowIt(t *testing.T) {
	eachRecording(t, func(t *testing.T, recording string) {
		list, err := saying(t, recordedList(t, recording, "-r", source), "", "0").List(t.Context(), source)
		require.NoError(t, err)
		require.Greater(t, len(list), 20)
	})
}

func TestDescribeTellsOfThoseThatExist(t *testing.T) {
	missing := "cannot open 'tank/b c': dataset does not exist\ncannot open 'tank/d': dataset does not exist\n"
	list, err := saying(t, oneDataset, missing, "1").Describe(t.Context(), "tank/a", "tank/b c", "tank/d")
	require.NoError(t, err)
	require.Equal(t, []Dataset{{Name: "tank/a", GUID: 5, Identity: "zfs:5"}}, list)
}

func TestDescribeTellsOfNoneWhileTheirPoolGoes(t *testing.T) {
	gone := "cannot open 'tank': no such pool\ncannot open 'tank/a': dataset does not exist\n"
	list, err := saying(t, "", gone, "1").Describe(t.Context(), "tank/a")
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestAFailedRunIsAnErrorThatSaysWhy(t *testing.T) {
	list := func(c Command) error { _, err := c.List(t.Context(), "tank/a"); return err }
	describe := func(c Command) error { _, err := c.Describe(t.Context(), "tank/a", "tank/b"); return err }
	tests := map[string]struct {
		zfs  Command
		call func(Command) error
		want error
	}{
		"listing what does not exist":         {saying(t, "", "cannot open 'tank/a': dataset does not exist\n", "1"), list, ErrNotExist},
		"listing a block device":              {saying(t, "", "", "0"), list, ErrNotMountable},
		"listing what is not understood":      {saying(t, "tank/a\tguid\n", "", "0"), list, ErrOutput},
		"describing what is not understood":   {saying(t, "tank/a\tguid\n", "", "0"), describe, ErrOutput},
		"a kernel without ZFS":                {saying(t, "", "The ZFS modules are not loaded.\nTry running\n", "1"), list, ErrNoModule},
		"no permission":                       {saying(t, "", "Permission denied the ZFS utilities must be run as root.\n", "1"), describe, ErrPermission},
		"a program that is not there":         {Command{Path: filepath.Join(t.TempDir(), "zfs")}, list, ErrNoProgram},
		"what one missing dataset hides":      {saying(t, oneDataset, "cannot open 'tank/b': dataset does not exist\nsomething else\n", "1"), describe, nil},
		"a failure that says nothing":         {saying(t, oneDataset, "", "1"), describe, nil},
		"a failure that we do not know":       {saying(t, oneDataset, "internal error\n", "1"), list, nil},
		"another dataset that does not exist": {saying(t, oneDataset, "cannot open 'tank/x': dataset does not exist\n", "1"), describe, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.call(test.zfs)
			var failure *Error
			require.ErrorAs(t, err, &failure)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
		})
	}
}

func TestARunIsEndedWithItsContext(t *testing.T) {
	for name, script := range map[string]string{
		"a program that hangs":                    "exec sleep 60",
		"one that has left another with its pipe": "sleep 5 &\nexec sleep 60",
		"one that does not mind being told":       "trap '' TERM INT\nwhile :; do sleep 1; done",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := fakeZFS(t, script).List(ctx, "tank")
			require.ErrorIs(t, err, ErrTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Less(t, time.Since(began), 4*time.Second)
		})
	}
}

func TestZFSSpeaksEnglish(t *testing.T) {
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	_, err := fakeZFS(t, `echo "$LC_ALL" >&2; exit 1`).List(t.Context(), "tank")
	require.ErrorContains(t, err, ": C")
}

func TestZFSIsAskedInOneRun(t *testing.T) {
	ask := func() string {
		_, err := fakeZFS(t, `printf '<%s>' "$@" >&2; exit 1`).List(t.Context(), "tank/a b")
		require.Error(t, err)
		return err.Error()
	}
	first := ask()
	require.Regexp(t, "<get><-H><-p><-t><filesystem><-o><name,property,value,source><guid,clonefs:identity,clonefs:end-[a-z0-9]{20,}><-r><tank/a b>$", first)
	require.NotEqual(t, first, ask(), "nobody knows the end property before")
}
