// Package integration tests clonefs by mounting it and using it.
package integration

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/dir"
	"github.com/clonefs/clonefs/fs"
)

// A mounted is a directory source with the volumes that a test asked for, and
// a mount of it.
type mounted struct {
	source, mountpoint string
	server             *fs.Server
	requests           *requestCounter // of a mount whose options say Debug
}

// mount mounts a new directory with the named volumes for the time of the test.
func mount(t testing.TB, options fs.Options, volumes ...string) *mounted {
	t.Helper()
	m := &mounted{source: t.TempDir(), mountpoint: t.TempDir()}
	for _, name := range volumes {
		require.NoError(t, os.Mkdir(filepath.Join(m.source, name), 0o755))
	}
	m.start(t, options)
	return m
}

func (m *mounted) start(t testing.TB, options fs.Options) {
	t.Helper()
	options.Logger = testLogger(t)
	if options.Debug {
		m.requests = &requestCounter{Handler: options.Logger.Handler(), counts: map[string]int{}}
		options.Logger = slog.New(m.requests)
	}
	source, err := dir.New(m.source, options.Logger)
	require.NoError(t, err)
	m.server, err = fs.Mount(m.mountpoint, source, options)
	require.NoError(t, err)
	server := m.server
	t.Cleanup(func() { unmount(t, m.mountpoint, server) })
}

// restart unmounts and mounts again.
func (m *mounted) restart(t testing.TB, options fs.Options) {
	t.Helper()
	require.NoError(t, m.server.Unmount())
	m.server.Wait()
	m.start(t, options)
}

// unmount unmounts; if something is still open, the test fails, and the mount
// is taken away all the same.
func unmount(t testing.TB, mountpoint string, server *fs.Server) {
	var err error
	for range 50 { // the kernel releases the last files of a process after close(2)
		if err = syscall.Unmount(mountpoint, 0); err != syscall.EBUSY {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err == syscall.EBUSY {
		t.Errorf("unmount %s: %v: a test left something open", mountpoint, err)
		err = syscall.Unmount(mountpoint, syscall.MNT_DETACH)
	}
	if err == nil {
		server.Wait()
	}
}

// testLogger shows warnings and errors as the test's own output.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s", line)
	return len(line), nil
}
