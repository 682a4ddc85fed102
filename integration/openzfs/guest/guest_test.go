package guest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnArgumentKeepsItsCharactersOnItsWayThroughTheShell(t *testing.T) {
	opts := Options{Dir: "/a b", Env: []string{"X=it's $HOME"}, Command: []string{"run", "", "a'b", `c"\`, "$d\n"}}
	require.Equal(t, "export 'X=it'\\''s $HOME'\ncd '/a b' && exec 'run' '' 'a'\\''b' 'c\"\\' '$d\n'\n", script(opts))
}

func TestArgumentsThatNameFilesOfThisMachineStayHere(t *testing.T) {
	args := []string{"-test.v=true", "-test.testlogfile=/tmp/x", "-test.coverprofile=c.out", "-test.run=^TestX$", "-test.timeout=10m0s", "-flag", "value"}
	require.Equal(t, []string{"-test.v=true", "-test.run=^TestX$", "-test.timeout=10m0s", "-flag", "value"}, guestArguments(args))
}

func TestACommaInAPathDoesNotEndQemusOption(t *testing.T) {
	require.Contains(t, machine{console: "/a,b"}.arguments(), "file:/a,,b")
}

// start runs a shell script in a guest. It tests what is used where the machine
// itself has no ZFS.
func start(t *testing.T, limit time.Duration, text string, more Options) (status int, output string, err error) {
	t.Helper()
	var out bytes.Buffer
	more.Output = &out
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	status, err = startUntil(ctx, t, text, more)
	return status, out.String(), err
}

func startUntil(ctx context.Context, t *testing.T, text string, more Options) (status int, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o755))
	more.Files = append(more.Files, File{From: file, To: "/srv/script"})
	more.Command = append([]string{"/srv/script"}, more.Command...)
	return Run(ctx, more)
}

func TestAGuestRunsAProgramAndReturnsItsOutputAndStatus(t *testing.T) {
	if hasZFS() {
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), []byte("hello"), 0o600))
	disk := Disk{Image: filepath.Join(t.TempDir(), "a,b"), Place: "/mnt/disk"}
	require.NoError(t, os.WriteFile(disk.Image, make([]byte, 1<<20), 0o600))
	require.NoError(t, tool(t.Context(), "mke2fs", "-q", "-t", "ext4", "-d", dir, disk.Image))
	status, output, err := start(t, 2*time.Minute, `
		cat /data/x; echo " $1 $X"; pwd; echo error >&2
		[ -c /dev/zfs ] && [ -c /dev/fuse ] && touch /tmp/x && zfs version >/dev/null
		echo $?
		cat /mnt/disk/x; touch /mnt/disk/y && umount /mnt/disk
		exit 7`, Options{Disks: []Disk{disk}, Dir: "/data", Env: []string{"X=a b"}, Command: []string{"c  d"}, Files: []File{{From: dir, To: "/data"}}})
	require.NoError(t, err)
	require.Equal(t, "hello c  d a b\n/data\nerror\n0\nhello", output)
	require.Equal(t, 7, status)
}

func TestAGuestThatTakesTooLongIsEnded(t *testing.T) {
	if hasZFS() {
		return
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	_, _, err := start(t, 10*time.Second, "sleep 1000", Options{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	left, err := filepath.Glob(filepath.Join(dir, "openzfs-guest-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAGuestWhoseKernelDiesSaysSo(t *testing.T) {
	if hasZFS() {
		return
	}
	_, _, err := start(t, 2*time.Minute, "echo c >/proc/sysrq-trigger", Options{})
	require.ErrorContains(t, err, "the guest ended before its command did")
	require.ErrorContains(t, err, "sysrq triggered crash")
}

// said calls then when the guest has said something.
type said func()

func (then said) Write(p []byte) (int, error) {
	then()
	return len(p), nil
}

func TestWhatWasNotFlushedIsLostWhenThePowerGoesOffAndWhatWasIsNot(t *testing.T) {
	if hasZFS() {
		return
	}
	disk := Disk{Image: filepath.Join(t.TempDir(), "disk"), Place: "/dev/disk", Writable: true, Cached: true}
	require.NoError(t, tool(t.Context(), "qemu-img", "create", "-q", "-f", "qcow2", disk.Image, "1G"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ctx, off := context.WithCancelCause(ctx)
	_, err := startUntil(ctx, t, `
		echo flushed | dd of=/dev/disk conv=fsync 2>/dev/null
		echo written | dd of=/dev/disk seek=1M bs=1 2>/dev/null # to the disk, as it is closed
		echo now; sleep 1000`, Options{Disks: []Disk{disk}, Output: said(func() { off(ErrPowerOff) })})
	require.ErrorIs(t, err, ErrPowerOff)
	_, output, err := start(t, 2*time.Minute, `
		head -c 8 /dev/disk
		dd if=/dev/disk skip=1 bs=1M count=1 2>/dev/null | head -c 8 | tr '\0' -`, Options{Disks: []Disk{disk}})
	require.NoError(t, err)
	require.Equal(t, "flushed\n--------", output)
}
