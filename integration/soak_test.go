//go:build linux

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
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
	const goroutines, heap = 4, 4 << 20
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

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %d KiB of memory", u.descriptors, u.goroutines, u.heap>>10)
}

func usageNow(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	runtime.GC() // what the first one has made free by finalizers
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return usage{len(descriptorsOf(t, os.Getpid())), runtime.NumGoroutine(), memory.HeapAlloc}
}

// usageAtRest waits until nothing is closed any more: the kernel tells of the last
// close of a file a moment after it.
func usageAtRest(t *testing.T) usage {
	t.Helper()
	last, now := usage{}, usageNow(t)
	for range 50 {
		if now.descriptors == last.descriptors && now.goroutines == last.goroutines {
			break
		}
		time.Sleep(200 * time.Millisecond)
		last, now = now, usageNow(t)
	}
	return now
}

// Volumes and files are made, used in every way and removed all the time, and in the
// end there is no more of anything than at the beginning.
func TestNothingIsLeftOfVolumesThatWereUsedAndRemoved(t *testing.T) {
	long := soakTime(t)
	m := mount(t, fs.Options{})
	// More at once than later: each thread that has once waited for requests leaves
	// buffers of 2 MiB for the next.
	m.soak(t, 16, min(long, 10*time.Second))
	before := usageAtRest(t)
	volumes, steps := m.soak(t, 4, long)
	var after usage
	for range 50 { // the kernel forgets, and tells of the last close, a moment later
		if after = usageNow(t); after.exceeds(before) == "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%v: %d volumes, %d operations on them; %v; at the beginning: %v", long, volumes, steps, after, before)
	require.Empty(t, after.exceeds(before))
	require.Empty(t, names(t, m.mountpoint))
}

// soak lets several use volumes of their own, one after the other, and returns how
// many there were and what was done to them.
func (m *mounted) soak(t *testing.T, clients int, long time.Duration) (volumes, steps int64) {
	t.Helper()
	var running sync.WaitGroup
	var used, done atomic.Int64
	end := time.Now().Add(long)
	for client := range clients {
		running.Go(func() {
			for i := 0; time.Now().Before(end) && !t.Failed(); i++ {
				done.Add(m.useVolume(t, fmt.Sprintf("job-%d-%d", client, i)))
				used.Add(1)
			}
		})
	}
	running.Wait()
	require.False(t, t.Failed())
	return used.Load(), done.Load()
}

// useVolume makes a volume behind the mount, uses it through the mount, and removes
// it again. It returns the number of steps, and may run in any goroutine.
func (m *mounted) useVolume(t *testing.T, name string) (steps int64) {
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
			return steps
		}
		steps++
	}
	return steps
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
