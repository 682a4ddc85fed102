//go:build linux

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// fio writes and verifies, as hypervisors do and through the page cache, and sees no
// error and no wrong byte while the mount is handed from daemon to daemon.
func TestFioFindsWhatItWroteWhenTheMountIsTakenOver(t *testing.T) {
	requireTool(t, "fio")
	mount, at := mountForHandover(t, "vm")
	s := at("vm")
	require.NoError(t, os.WriteFile(s.stored("disk.vdi"), realHeader(t), 0o600))
	require.NoError(t, os.Truncate(s.stored("disk.vdi"), 32<<20))
	verified := make(chan error, 1)
	verify := func() { verified <- verifyWithFio(t.Context(), s) }
	go verify()
	require.NoError(t, <-verified)
	go verify()
	for range handovers() {
		mount.Replace(t)
		select {
		case err := <-verified:
			require.NoError(t, err)
			go verify()
		default: // it is at it
		}
	}
	require.NoError(t, <-verified)
	require.Equal(t, presented(t, "dir:vm"), uuidOf(t, s.path("disk.vdi")))
	stored, err := os.ReadFile(s.stored("disk.vdi"))
	require.NoError(t, err)
	require.Equal(t, realHeader(t)[:512], stored[:512])
}

// verifyWithFio writes two parts of an image, beyond its header, and reads them again.
func verifyWithFio(ctx context.Context, s *site) error {
	const part = 8 << 20
	out, err := exec.CommandContext(ctx, "fio", "--thread", "--filename="+s.path("disk.vdi"), "--allow_file_create=0", fmt.Sprintf("--size=%d", part), "--bs=4k",
		"--rw=randwrite", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--randrepeat=0",
		"--name=asynchronous", "--offset=1M", "--direct=1", "--ioengine=libaio", "--iodepth=16",
		"--name=buffered", "--offset=16M", "--ioengine=psync", "--fsync=64").CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}
