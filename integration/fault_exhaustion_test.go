//go:build linux

package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/faulty"
)

// The limit is the daemon's: to its clients it is the system that has no files
// left, and not they.
func TestADaemonWithoutDescriptorsSaysSoOnceAndRecovers(t *testing.T) {
	requireTool(t, "prlimit")
	c := newCLI(t, "job-1/disk.vdi", "job-2/disk.vdi")
	r := c.runAs("prlimit", "--nofile=32:64", daemon.Binary(t), "mount", "--log-file=log", "./src", "mnt")
	require.Zero(t, r.status, r.stderr)
	limits := strings.Fields(statusField(t, c.daemon(), "limits", "Max open files"))
	// The Go runtime has raised it, and keeps one below for a sign that it has.
	require.Equal(t, []string{"63", "64"}, limits[:2])

	var files []*os.File
	var err error
	for err == nil {
		var f *os.File
		if f, err = os.Open(c.path("mnt/job-1/disk.vdi")); err == nil {
			files = append(files, f)
			t.Cleanup(func() { _ = f.Close() }) // it may be closed already
		}
	}
	require.ErrorIs(t, err, syscall.ENFILE)
	require.Greater(t, len(files), 32, "as many as the limit lets")
	for range 100 {
		require.ErrorIs(t, openAndClose(c.path("mnt/job-2/disk.vdi")), syscall.ENFILE)
		for _, err := range []error{ // what needs fewer at once may get through
			os.MkdirAll(c.path("mnt/job-2/new"), 0o755), list(c.path("mnt/job-2")), statOf(c.path("mnt/job-2/disk.vdi")),
		} {
			require.True(t, err == nil || errors.Is(err, syscall.ENFILE), "%v", err)
		}
	}
	_, err = files[0].ReadAt(make([]byte, 512), 0)
	require.NoError(t, err, "what is open is served")
	require.Equal(t, 1, strings.Count(c.log(), "as many files open as it may"), c.log())
	require.Less(t, strings.Count(c.log(), "\n"), 10, c.log())

	for _, f := range files {
		require.NoError(t, f.Close())
	}
	c.eventually("the daemon has descriptors again", func() bool { return openAndClose(c.path("mnt/job-2/disk.vdi")) == nil })
	require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))
}

// A listing that lacked a volume would say that it is gone.
func TestAVolumeThatCannotBeLookedAtIsListedAllTheSame(t *testing.T) {
	m := mountOverFaulty(t)
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EMFILE} {
		m.lower.Fail(faulty.Lookup, errno)
		require.Equal(t, []string{"beside", "sound", "vm"}, names(t, m.dir))
		want := errno
		if errno == syscall.EMFILE {
			want = syscall.ENFILE
		}
		time.Sleep(20 * time.Millisecond) // the kernel forgets the volume's name
		require.ErrorIs(t, statOf(filepath.Join(m.dir, "vm")), want)
		m.lower.Heal()
		require.NoError(t, statOf(filepath.Join(m.dir, "vm")))
	}
}

// What the daemon starts has the limit that the daemon was started with: some
// programs close every descriptor up to it, or use select(2).
func TestProgramsThatTheDaemonStartsHaveTheLimitItWasGiven(t *testing.T) {
	requireTool(t, "prlimit")
	c := newCLI(t)
	script := "#!/bin/sh\necho $(ulimit -Sn) $(ulimit -Hn) >>" + c.path("limits") + "\nexit 1\n"
	require.NoError(t, os.Mkdir(c.path("bin"), 0o755))
	require.NoError(t, os.WriteFile(c.path("bin/zfs"), []byte(script), 0o755))
	c.env = append(c.env, fmt.Sprintf("PATH=%s:%s", c.path("bin"), os.Getenv("PATH")))
	r := c.runAs("prlimit", "--nofile=50:70", daemon.Binary(t), "mount", "--log-file=log", "tank/ci", "mnt")
	require.NotZero(t, r.status, "there is no such dataset")
	given, err := os.ReadFile(c.path("limits"))
	require.NoError(t, err)
	for line := range strings.Lines(string(given)) {
		require.Equal(t, "50 70\n", line)
	}
}

func openAndClose(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func statOf(path string) error {
	_, err := os.Stat(path)
	return err
}

func list(dir string) error {
	_, err := os.ReadDir(dir)
	return err
}
