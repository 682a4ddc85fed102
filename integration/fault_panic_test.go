package integration

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
)

// A brokenSource panics when it is asked for one name, or while it is out of order
// for its volumes.
type brokenSource struct {
	*fakeSource
	outOfOrder atomic.Bool
}

func (s *brokenSource) Volume(name string) (fs.Volume, bool) {
	if name == "cursed" {
		panic("asked for a cursed name")
	}
	return s.fakeSource.Volume(name)
}

func (s *brokenSource) Volumes() []fs.Volume {
	if s.outOfOrder.Load() {
		panic("out of order")
	}
	return s.fakeSource.Volumes()
}

func TestAPanicIsTheErrorOfOneRequestAndIsLoggedOnce(t *testing.T) {
	source := &brokenSource{fakeSource: &fakeSource{volumes: map[string]fs.Volume{}, changed: make(chan func(), 1)}}
	source.set(newVolume(t, "vm"))
	var log lockedLog
	mountpoint := t.TempDir()
	server, err := fs.Mount(mountpoint, source, fs.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { unmount(t, mountpoint, server) })

	for range 20 {
		_, err := os.Stat(filepath.Join(mountpoint, "cursed"))
		require.ErrorIs(t, err, syscall.EIO)
	}
	require.Equal(t, 1, log.count("asked for a cursed name"), log.String())
	require.Equal(t, 1, log.count("brokenSource).Volume("), "the stack says where")

	source.outOfOrder.Store(true)
	for range 20 {
		_, err := os.ReadDir(mountpoint)
		require.ErrorIs(t, err, syscall.EIO)
	}
	source.outOfOrder.Store(false)
	require.Equal(t, 1, log.count("out of order"), log.String())

	require.Equal(t, []string{"vm"}, names(t, mountpoint), "the mount goes on")
	require.Equal(t, presented(t, "zfs:vm"), uuidOf(t, mountpoint+"/vm/disk.vdi"))
	require.NoError(t, os.WriteFile(mountpoint+"/vm/new", []byte("new"), 0o600))
	require.NoError(t, os.Remove(mountpoint+"/vm/new"))
}

// A lockedLog may be read while it is written to.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lockedLog) count(text string) int { return strings.Count(l.String(), text) }
