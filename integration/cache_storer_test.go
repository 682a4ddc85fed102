//go:build linux

package integration

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A storer is a process that has a file mapped and stores to all of it what it is
// told to.
type storer struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Reader
}

var _ = addHelper("store", func(args []string) string { return storeByOrder(args[0]) })

// addHelper adds to the helpers before any init function runs, as one of those calls
// them.
func addHelper(name string, help func(args []string) string) bool {
	helpers[name] = help
	return true
}

// storeByOrder fills a shared mapping of the file with each byte that comes in, and
// gives the byte back.
func storeByOrder(path string) string {
	fd, err := unix.Open(path, unix.O_RDWR, 0)
	must(err)
	var s unix.Stat_t
	must(unix.Fstat(fd, &s))
	m, err := unix.Mmap(fd, 0, int(s.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(err)
	order := make([]byte, 1)
	for {
		if _, err := os.Stdin.Read(order); err != nil {
			return ""
		}
		copy(m, bytes.Repeat(order, len(m)))
		_, err := os.Stdout.Write(order)
		must(err)
	}
}

func startStorer(t *testing.T, path string) *storer {
	t.Helper()
	s := &storer{cmd: help("store", path)}
	var err error
	s.orders, err = s.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	s.answers = bufio.NewReader(out)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended, or is to
		_ = s.cmd.Wait()
	})
	return s
}

// store fills the file with a byte.
func (s *storer) store(t *testing.T, b byte) {
	t.Helper()
	_, err := s.orders.Write([]byte{b})
	require.NoError(t, err)
	_, err = s.answers.ReadByte()
	require.NoError(t, err)
}

// end ends the process.
func (s *storer) end(t *testing.T) {
	t.Helper()
	require.NoError(t, s.orders.Close())
	require.NoError(t, s.cmd.Wait())
}
