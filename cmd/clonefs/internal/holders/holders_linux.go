package holders

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

// Of returns the processes that use files of the mount m, as far as this user
// may look at them: root sees all, others see their own.
func Of(m mounts.Mount) ([]Holder, error) {
	s, err := newSearch(m)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []Holder
	end := time.Now().Add(5 * patience)
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			holder := within(min(patience, time.Until(end)), func() Holder { return s.inspect(pid) })
			if len(holder.Uses) > 0 {
				found = append(found, holder)
			}
		}
	}
	return found, nil
}

// patience is how long a process may take to be looked at. One that another file
// system holds up, which hangs, holds up who looks at it in /proc: in a page fault, or
// in an execve(2) that closes a file.
const patience = time.Second

// within returns what inspect returns, or nothing if that takes too long.
func within(patience time.Duration, inspect func() Holder) Holder {
	done := make(chan Holder, 1)
	go func() { done <- inspect() }()
	select {
	case holder := <-done:
		return holder
	case <-time.After(patience):
		return Holder{}
	}
}

// search is what is looked for, and the mount table of each mount namespace
// that was met on the way.
type search struct {
	mount mounts.Mount

	mu     sync.Mutex // those who have taken too long may still look
	tables map[string]mounts.Table
}

func newSearch(m mounts.Mount) (*search, error) {
	table, err := mounts.Read()
	if err != nil {
		return nil, err
	}
	own, err := os.Readlink("/proc/self/ns/mnt")
	return &search{mount: m, tables: map[string]mounts.Table{own: table}}, err
}

// inspect returns what one process uses of the mount. A process that has
// ended, or that this user may not look at, uses nothing.
func (s *search) inspect(pid int) Holder {
	process := filepath.Join("/proc", strconv.Itoa(pid))
	holder := Holder{PID: pid, Command: firstLine(filepath.Join(process, "comm"))}
	table := s.tableOf(pid, process)
	if table == nil {
		return holder
	}
	s.addDirectories(&holder, process, table)
	s.addDescriptors(&holder, process, table)
	s.addMappings(&holder, process)
	return holder
}

// tableOf returns the mounts that a process sees, nil if it may not be known.
// The tables of other processes in our namespace are not read: in a chroot
// they are written from another root than the links below are.
func (s *search) tableOf(pid int, process string) mounts.Table {
	namespace, err := os.Readlink(filepath.Join(process, "ns/mnt"))
	if err != nil {
		return nil
	}
	s.mu.Lock()
	table, known := s.tables[namespace]
	s.mu.Unlock()
	if !known {
		table, _ = mounts.ReadOf(pid) // it may be gone by now
		s.mu.Lock()
		s.tables[namespace] = table
		s.mu.Unlock()
	}
	return table
}

var directories = []struct{ link, how string }{
	{"cwd", "working directory"},
	{"root", "root directory"},
	{"exe", "program"},
}

func (s *search) addDirectories(holder *Holder, process string, table mounts.Table) {
	for _, d := range directories {
		path, err := os.Readlink(filepath.Join(process, d.link))
		if err != nil {
			continue
		}
		if m, ok := table.Holding(filepath.Clean(path)); ok && m.Device == s.mount.Device {
			holder.add(d.how, relative(m, path))
		}
	}
}

// addDescriptors goes by the mount's ID in fdinfo: it is right also for files
// that were deleted, whose links say no path.
func (s *search) addDescriptors(holder *Holder, process string, table mounts.Table) {
	descriptors, _ := os.ReadDir(filepath.Join(process, "fdinfo"))
	for _, descriptor := range descriptors {
		id := mountID(filepath.Join(process, "fdinfo", descriptor.Name()))
		for _, m := range table {
			if m.ID == id && m.Device == s.mount.Device {
				path, _ := os.Readlink(filepath.Join(process, "fd", descriptor.Name()))
				holder.add("open file", relative(m, path))
			}
		}
	}
}

// mountID returns the value of mnt_id in a file of fdinfo, -1 without one.
func mountID(path string) int {
	info, _ := os.ReadFile(path)
	for line := range strings.Lines(string(info)) {
		if value, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			if id, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
				return id
			}
		}
	}
	return -1
}

// addMappings looks at lines like these, whose fourth field is the device in
// hexadecimal:
//
//	7f10c000-7f10d000 r--s 00000000 00:35 4711      /mnt/vm/job-1/disk.vdi
func (s *search) addMappings(holder *Holder, process string) {
	maps, _ := os.ReadFile(filepath.Join(process, "maps"))
	for line := range strings.Lines(string(maps)) {
		numbers, path, named := strings.Cut(strings.TrimSuffix(line, "\n"), "/")
		fields := strings.Fields(numbers)
		if named && len(fields) > 3 && decimalDevice(fields[3]) == s.mount.Device {
			holder.add("mapped file", relative(s.mount, "/"+path))
		}
	}
}

func decimalDevice(hexadecimal string) string {
	var major, minor uint32
	if _, err := fmt.Sscanf(hexadecimal, "%x:%x", &major, &minor); err != nil {
		return ""
	}
	return fmt.Sprintf("%d:%d", major, minor)
}

// relative returns the path of a file relative to the mount that it is on.
func relative(m mounts.Mount, path string) string {
	if path == m.Dir {
		return "."
	}
	return strings.TrimPrefix(path, strings.TrimSuffix(m.Dir, "/")+"/")
}

func firstLine(path string) string {
	text, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
