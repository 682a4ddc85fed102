package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

// A fakeSource is a source whose volumes the test sets.
type fakeSource struct {
	mu      sync.Mutex
	volumes map[string]fs.Volume
	changed chan func()
}

func (s *fakeSource) Volumes() []fs.Volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []fs.Volume
	for _, v := range s.volumes {
		all = append(all, v)
	}
	return all
}

func (s *fakeSource) Volume(name string) (fs.Volume, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.volumes[name]
	return v, ok
}

func (s *fakeSource) Hides(name string) bool { return name == ".hidden" }

func (s *fakeSource) Leads(place string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.volumes {
		if strings.HasPrefix(name, place+"/") {
			return true
		}
	}
	return false
}

func (s *fakeSource) Watch(ctx context.Context, changed func()) error {
	s.changed <- changed
	<-ctx.Done()
	return nil
}

func (s *fakeSource) set(v fs.Volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes[v.Name] = v
}

func (s *fakeSource) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.volumes, name)
}

// mountVolumes mounts a fakeSource whose volumes are new directories with an
// image in each; their identity is "zfs:" and the name.
func mountVolumes(t *testing.T, options fs.Options, names ...string) (*fakeSource, string) {
	t.Helper()
	source := &fakeSource{volumes: map[string]fs.Volume{}, changed: make(chan func(), 1)}
	for _, name := range names {
		source.set(newVolume(t, name))
	}
	options.Logger = testLogger(t)
	mountpoint := t.TempDir()
	server, err := fs.Mount(mountpoint, source, options)
	require.NoError(t, err)
	t.Cleanup(func() { unmount(t, mountpoint, server) })
	return source, mountpoint
}

func newVolume(t *testing.T, name string) fs.Volume {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "disk.vdi"), realHeader(t), 0o600))
	return fs.Volume{Name: name, Dir: dir, Identity: "zfs:" + name}
}

func realHeader(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../vdi/testdata/vbox-7.2-dynamic.bin")
	require.NoError(t, err)
	return b
}

// presented is the UUID that the stored header has under an identity.
func presented(t *testing.T, identity string) string {
	t.Helper()
	b := realHeader(t)
	vdi.NewMask(identity, vdi.KeepGuestSerial).Present(b)
	h, err := vdi.Parse(b)
	require.NoError(t, err)
	return h.Create.String()
}

// uuidOf is the UUID that a file shows.
func uuidOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	h, err := vdi.Parse(b[:512])
	require.NoError(t, err)
	return h.Create.String()
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
