//go:build linux

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// usage is what a process has of what may leak.
type usage struct {
	descriptors, goroutines int
	heap                    uint64
}

// exceeds says in what u is more than before, with room for what comes and goes by
// itself: threads that wait for requests, and caches of the runtime.
func (u usage) exceeds(before usage) string {
	const goroutines, heap = 4, 16 << 20 // a buffer of 2 MiB each
	switch {
	case u.descriptors > before.descriptors:
		return fmt.Sprintf("%d descriptors, %d before", u.descriptors, before.descriptors)
	case u.goroutines > before.goroutines+goroutines:
		return fmt.Sprintf("%d goroutines, %d before", u.goroutines, before.goroutines)
	case u.heap > before.heap+heap:
		return fmt.Sprintf("%d bytes of memory, %d before", u.heap, before.heap)
	}
	return ""
}

func usageNow(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	runtime.GC() // what the first one has made free by finalizers
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	descriptors, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return usage{len(descriptors), runtime.NumGoroutine(), memory.HeapAlloc}
}

// Volumes and files are made, used in every way and removed all the time, and in the
// end there is no more of anything than at the beginning.
func TestNothingIsLeftOfVolumesThatWereUsedAndRemoved(t *testing.T) {
	m := mount(t, fs.Options{})
	m.soak(t, 3*time.Second) // pools and caches have their size then
	before := usageNow(t)
	m.soak(t, soakTime(t, 30*time.Second))
	more := ""
	for range 50 { // the kernel forgets, and tells of the last close, a moment later
		if more = usageNow(t).exceeds(before); more == "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.Empty(t, more)
	require.Empty(t, names(t, m.mountpoint))
}

// soak lets several use volumes of their own, one after the other.
func (m *mounted) soak(t *testing.T, long time.Duration) {
	t.Helper()
	var running sync.WaitGroup
	end := time.Now().Add(long)
	for worker := range 4 {
		running.Go(func() {
			for i := 0; time.Now().Before(end) && !t.Failed(); i++ {
				m.useVolume(t, fmt.Sprintf("job-%d-%d", worker, i))
			}
		})
	}
	running.Wait()
	require.False(t, t.Failed())
}

// useVolume makes a volume behind the mount, uses it through the mount, and removes
// it again. It may run in any goroutine.
func (m *mounted) useVolume(t *testing.T, name string) {
	stored, dir := filepath.Join(m.source, name), filepath.Join(m.mountpoint, name)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"make the volume", func() error { return os.Mkdir(stored, 0o755) }},
		{"make an image", func() error { return os.WriteFile(dir+"/disk.vdi", make([]byte, 1<<16), 0o600) }},
		{"use the image", func() error { return useImage(dir + "/disk.vdi") }},
		{"make a directory", func() error { return os.Mkdir(dir+"/directory", 0o755) }},
		{"link", func() error { return os.Link(dir+"/disk.vdi", dir+"/directory/link") }},
		{"link by name", func() error { return os.Symlink("disk.vdi", dir+"/name") }},
		{"rename", func() error { return os.Rename(dir+"/directory/link", dir+"/link") }},
		{"set an attribute", func() error { return unix.Setxattr(dir+"/link", "user.x", []byte("1"), 0) }},
		{"remove what is open", func() error { return removeOpen(dir + "/link") }},
		{"list", func() error { return list(dir) }},
		{"list the volumes", func() error { return list(m.mountpoint) }},
		{"fail", func() error { return expect(unix.ENOENT, statOf(dir+"/missing")) }},
		{"remove", func() error { return os.RemoveAll(dir + "/directory") }},
		{"remove the volume", func() error { return os.RemoveAll(stored) }},
		{"see it gone", func() error { return expect(unix.ENOENT, statOf(dir)) }},
	} {
		if err := step.do(); err != nil {
			t.Errorf("%s: %s: %v", name, step.name, err)
			return
		}
	}
}

// useImage writes, reads and truncates. It maps nothing: a page fault of this process
// would wait for this very process.
func useImage(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeBackHeader(f, 1); err != nil {
		return err
	}
	if err := f.Truncate(1 << 20); err != nil {
		return err
	}
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096)
}

// removeOpen removes a file that is open, and uses it on.
func removeOpen(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte("written late"), 8192); err != nil {
		return err
	}
	_, err = f.Stat()
	return err
}

func expect(want, err error) error {
	if err == nil || !isOneOf(err, []error{want}) {
		return fmt.Errorf("%w instead of %w", err, want)
	}
	return nil
}
