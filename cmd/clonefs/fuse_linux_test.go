package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatAMountNeedsOfTheMachine(t *testing.T) {
	dir := t.TempDir()
	allowing, silent := filepath.Join(dir, "allowing"), filepath.Join(dir, "silent")
	require.NoError(t, os.WriteFile(allowing, []byte("# comment\nuser_allow_other\n"), 0o600))
	require.NoError(t, os.WriteFile(silent, []byte("#user_allow_other\n"), 0o600))
	there := func(string) (string, error) { return "/usr/bin/fusermount3", nil }
	missing := func(string) (string, error) { return "", exec.ErrNotFound }

	for name, c := range map[string]struct {
		system     fuseSystem
		allowOther bool
		answer     string
	}{
		"root needs no helper":                       {fuseSystem{os.DevNull, silent, 0, missing}, true, ""},
		"a user has the helper":                      {fuseSystem{os.DevNull, silent, 1000, there}, false, ""},
		"a user is allowed to let others in":         {fuseSystem{os.DevNull, allowing, 1000, there}, true, ""},
		"no device":                                  {fuseSystem{filepath.Join(dir, "none"), silent, 0, there}, false, "modprobe fuse"},
		"a user has no helper":                       {fuseSystem{os.DevNull, silent, 1000, missing}, false, "package fuse3"},
		"a user may not let others in":               {fuseSystem{os.DevNull, silent, 1000, there}, true, "user_allow_other"},
		"a user may not let others in: no fuse.conf": {fuseSystem{os.DevNull, filepath.Join(dir, "none"), 1000, there}, true, "user_allow_other"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.system.check(c.allowOther)
			if c.answer == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.answer)
		})
	}
}
