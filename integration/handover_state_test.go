//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A holding is what a client has when a mount is handed over. It returns a check that
// it still has it, which is called after each hand-over.
type holding struct {
	name string
	hold func(s *site) (check func())
}

func TestWhatAClientHoldsIsAsItWasWhenAnotherDaemonServesTheMount(t *testing.T) {
	holdings := append(append(append([]holding{}, heldFiles...), heldNames...), heldLocks...)
	var volumes []string
	for i := range holdings {
		volumes = append(volumes, fmt.Sprint("volume-", i))
	}
	mount, at := mountForHandover(t, volumes...)
	sites, checks := make([]*site, len(holdings)), make([]func(), len(holdings))
	for i, h := range holdings {
		sites[i] = at(volumes[i])
		checks[i] = h.hold(sites[i])
	}
	for round := 1; round <= rounds; round++ {
		mount.Replace(t)
		for i, h := range holdings {
			t.Run(fmt.Sprint(h.name, ", hand-over ", round), func(t *testing.T) {
				sites[i].t, sites[i].round, sites[i].last = t, round, round == rounds
				checks[i]()
			})
		}
	}
	for i := range sites {
		sites[i].t = t
	}
}

// heldFiles are open files.
var heldFiles = []holding{
	{"a file that is read and written on, from where the client was", func(s *site) func() {
		f, want := s.open("file", unix.O_RDWR|unix.O_CREAT), ""
		return func() {
			want += s.says(f, "through one daemon, ")
			s.holds("file", want)
			got := make([]byte, len(want))
			_, err := f.ReadAt(got, 0)
			require.NoError(s.t, err)
			require.Equal(s.t, want, string(got))
		}
	}},
	{"a file that is appended to", func(s *site) func() {
		f, want := s.open("log", unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND), ""
		return func() {
			other, err := os.OpenFile(s.path("log"), os.O_WRONLY|os.O_APPEND, 0)
			require.NoError(s.t, err)
			want += s.says(other, "another, ")
			require.NoError(s.t, other.Close())
			want += s.says(f, "this one, ")
			s.holds("log", want)
		}
	}},
	{"a file for stable writes", func(s *site) func() {
		f, want := s.open("stable", unix.O_WRONLY|unix.O_CREAT|unix.O_SYNC), ""
		return func() {
			want += s.says(f, "stable, ")
			s.holds("stable", want)
			require.NoError(s.t, f.Sync())
		}
	}},
	{"a file for direct writes", func(s *site) func() {
		f, page := s.open("direct", unix.O_RDWR|unix.O_CREAT|unix.O_DIRECT), aligned(s.t, 4096)
		return func() {
			copy(page, bytes.Repeat([]byte{byte(s.round)}, len(page)))
			_, err := f.WriteAt(page, int64(s.round)*4096)
			require.NoError(s.t, err)
			aioWrite(s.t, f.Fd(), page, int64(s.round+10)*4096, 0)
			clear(page)
			_, err = f.ReadAt(page, int64(s.round+10)*4096)
			require.NoError(s.t, err)
			require.EqualValues(s.t, s.round, page[4095])
		}
	}},
	{"a file that was removed", func(s *site) func() {
		check := s.holdsNameless(func() error { return os.Remove(s.path("file")) }, 0)
		removed := s.open("removed", unix.O_RDONLY|unix.O_CREAT)
		require.NoError(s.t, os.Remove(s.path("removed")))
		return func() {
			check()
			again, err := os.OpenFile(fmt.Sprint("/proc/self/fd/", removed.Fd()), os.O_RDWR, 0) // anew, without a name
			require.NoError(s.t, err)
			s.says(again, strings.Repeat("again", s.round))
			require.NoError(s.t, again.Close())
			content := make([]byte, 100)
			n, _ := removed.ReadAt(content, 0)
			require.Equal(s.t, strings.Repeat("again", s.round), string(content[:n]))
		}
	}},
	{"a file that was removed behind the mount", func(s *site) func() {
		return s.holdsNameless(func() error { return os.Remove(s.stored("file")) }, 0)
	}},
	{"a file that was renamed behind the mount", func(s *site) func() {
		return s.holdsNameless(func() error { return os.Rename(s.stored("file"), s.stored("other")) }, 1)
	}},
	{"a file that never had a name, and gets one", func(s *site) func() {
		fd, err := unix.Open(s.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		require.NoError(s.t, err)
		s.t.Cleanup(func() { unix.Close(fd) })
		_, err = unix.Write(fd, []byte("content"))
		require.NoError(s.t, err)
		return func() {
			require.EqualValues(s.t, s.round-1, s.stat(fd).Nlink)
			name := fmt.Sprint("named-", s.round)
			require.NoError(s.t, unix.Linkat(unix.AT_FDCWD, fmt.Sprint("/proc/self/fd/", fd), unix.AT_FDCWD, s.path(name), unix.AT_SYMLINK_FOLLOW))
			s.holds(name, "content")
		}
	}},
	{"a mapping with dirty pages", func(s *site) func() {
		f := s.open("mapped", unix.O_RDWR|unix.O_CREAT)
		require.NoError(s.t, f.Truncate(8192))
		m, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		require.NoError(s.t, err)
		s.t.Cleanup(func() { require.NoError(s.t, unix.Munmap(m)) })
		copy(m[4000:], "before")
		return func() {
			require.NoError(s.t, unix.Msync(m, unix.MS_SYNC))
			stored, err := os.ReadFile(s.stored("mapped"))
			require.NoError(s.t, err)
			require.True(s.t, bytes.Equal(m, stored), "what was stored into memory before the hand-over is in the file")
			copy(m[s.round*64:], fmt.Sprint("dirty when the mount is handed over again, ", s.round))
		}
	}},
	{"an image whose header is written", func(s *site) func() {
		require.NoError(s.t, os.WriteFile(s.stored("disk.vdi"), realHeader(s.t), 0o600))
		f := s.open("disk.vdi", unix.O_RDWR)
		return func() {
			require.NoError(s.t, writeBackHeader(f, byte(s.round)))
			want := realHeader(s.t)
			copy(want[modifyOffset:], bytes.Repeat([]byte{byte(s.round)}, 16))
			s.holds("disk.vdi", string(want))
			require.Equal(s.t, presented(s.t, s.identity), uuidOf(s.t, s.path("disk.vdi")))
		}
	}},
}

// says writes at the client's place in a file.
func (s *site) says(f *os.File, words string) string {
	s.t.Helper()
	_, err := f.WriteString(words)
	require.NoError(s.t, err)
	return words
}

// holdsNameless holds an open file whose name goes, and the number of names that are left.
func (s *site) holdsNameless(lose func() error, names uint64) func() {
	f := s.open("file", unix.O_RDWR|unix.O_CREAT)
	s.says(f, "0")
	require.NoError(s.t, lose())
	before := s.stat(int(f.Fd()))
	return func() {
		s.says(f, strconv.Itoa(s.round))
		got := make([]byte, s.round+1)
		_, err := f.ReadAt(got, 0)
		require.NoError(s.t, err)
		require.Equal(s.t, "0123"[:s.round+1], string(got))
		after := s.stat(int(f.Fd()))
		require.Equal(s.t, names, after.Nlink)
		require.Equal(s.t, before.Ino, after.Ino)
		require.NoFileExists(s.t, s.path("file"))
	}
}
