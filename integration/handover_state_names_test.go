//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// heldNames are names, directories and what is known of files.
var heldNames = []holding{
	{"two names of a file", func(s *site) func() {
		require.NoError(s.t, os.WriteFile(s.path("one"), []byte("content"), 0o600))
		require.NoError(s.t, os.Link(s.path("one"), s.path("two")))
		f := s.open("one", unix.O_RDWR)
		return func() {
			one, err := os.Stat(s.path("one"))
			require.NoError(s.t, err)
			two, err := os.Stat(s.path("two"))
			require.NoError(s.t, err)
			require.True(s.t, os.SameFile(one, two))
			require.EqualValues(s.t, 2, s.stat(int(f.Fd())).Nlink)
		}
	}},
	{"a listing that is read to its end later", func(s *site) func() {
		want := map[string]int{".": 1, "..": 1}
		for i := range 1000 {
			name := fmt.Sprintf("file-%04d", i)
			want[name] = 1
			require.NoError(s.t, os.WriteFile(s.stored(name), nil, 0o600))
		}
		directory, seen := s.open(".", unix.O_RDONLY|unix.O_DIRECTORY), map[string]int{}
		s.reads(directory, seen)
		for name := range seen { // what comes is what was there when the listing was begun
			_ = os.Remove(s.stored(name)) // not "."
		}
		return func() {
			require.NotZero(s.t, s.reads(directory, seen))
			if s.last {
				for s.reads(directory, seen) > 0 {
				}
				require.Equal(s.t, want, seen)
			} else {
				require.Less(s.t, len(seen), len(want), "or this shows nothing")
			}
		}
	}},
	{"a working directory", func(s *site) func() {
		require.NoError(s.t, os.MkdirAll(s.path("a/b"), 0o755))
		require.NoError(s.t, os.WriteFile(s.path("a/b/file"), []byte("here\n"), 0o600))
		shell := exec.Command("sh")
		shell.Dir = s.path("a/b")
		in, err := shell.StdinPipe()
		require.NoError(s.t, err)
		out, err := shell.StdoutPipe()
		require.NoError(s.t, err)
		require.NoError(s.t, shell.Start())
		s.t.Cleanup(func() { in.Close(); _ = shell.Wait() })
		return func() {
			_, err := fmt.Fprintf(in, "cat file; /bin/pwd; : >new-%d; ls -A | tr '\\n' ' '; echo .\n", s.round)
			require.NoError(s.t, err)
			var got []byte
			for b := make([]byte, 1); !bytes.HasSuffix(got, []byte(".\n")); got = append(got, b[0]) {
				_, err := out.Read(b)
				require.NoError(s.t, err)
			}
			want := "here\n" + s.path("a/b") + "\nfile "
			for i := range s.round {
				want += fmt.Sprintf("new-%d ", i+1)
			}
			require.Equal(s.t, want+".\n", string(got))
		}
	}},
	{"descriptors that only name", func(s *site) func() {
		require.NoError(s.t, os.Mkdir(s.path("directory"), 0o755))
		require.NoError(s.t, os.WriteFile(s.path("directory/file"), []byte("content"), 0o600))
		directory, file := s.open("directory", unix.O_PATH), s.open("directory/file", unix.O_PATH)
		require.NoError(s.t, os.Rename(s.path("directory"), s.path("moved"))) // no path leads there by its old name
		return func() {
			fd, err := unix.Openat(int(directory.Fd()), "file", unix.O_RDONLY, 0)
			require.NoError(s.t, err)
			require.Equal(s.t, s.stat(fd), s.stat(int(file.Fd())))
			require.NoError(s.t, unix.Close(fd))
			content, err := os.ReadFile(fmt.Sprint("/proc/self/fd/", file.Fd()))
			require.NoError(s.t, err)
			require.Equal(s.t, "content", string(content))
		}
	}},
	{"a directory that is renamed", func(s *site) func() {
		require.NoError(s.t, os.MkdirAll(s.path("name-0/below"), 0o755))
		f := s.open("name-0/below/file", unix.O_RDWR|unix.O_CREAT)
		return func() {
			was, is := fmt.Sprint("name-", s.round-1), fmt.Sprint("name-", s.round)
			require.NoError(s.t, os.Rename(s.path(was), s.path(is)))
			s.says(f, ".")
			require.NoError(s.t, f.Chmod(os.FileMode(0o600+s.round)))
			s.holds(is+"/below/file", strings.Repeat(".", s.round))
			info, err := os.Stat(s.path(is + "/below/file"))
			require.NoError(s.t, err)
			require.Equal(s.t, os.FileMode(0o600+s.round), info.Mode())
			require.NoDirExists(s.t, s.path(was))
		}
	}},
	{"what is known of files, by names and by descriptors", func(s *site) func() {
		require.NoError(s.t, os.MkdirAll(s.stored("a/b"), 0o750))
		require.NoError(s.t, os.WriteFile(s.stored("a/b/file"), []byte("content"), 0o640))
		require.NoError(s.t, os.Symlink("a/b/file", s.stored("link")))
		require.NoError(s.t, unix.Mkfifo(s.stored("fifo"), 0o600))
		f := s.open("a/b/file", unix.O_RDONLY)
		names, held, before := []string{"..", ".", "a", "a/b", "a/b/file", "link", "fifo"}, s.stat(int(f.Fd())), []unix.Stat_t(nil)
		for _, name := range names {
			before = append(before, s.lstat(name))
		}
		return func() {
			require.Equal(s.t, held, s.stat(int(f.Fd())))
			for i, name := range names {
				require.Equal(s.t, before[i], s.lstat(name), name)
			}
		}
	}},
	{"a watch", func(s *site) func() {
		require.NoError(s.t, os.WriteFile(s.path("file"), nil, 0o600))
		watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		require.NoError(s.t, err)
		s.t.Cleanup(func() { unix.Close(watch) })
		_, err = unix.InotifyAddWatch(watch, s.dir, unix.IN_CREATE)
		require.NoError(s.t, err)
		_, err = unix.InotifyAddWatch(watch, s.path("file"), unix.IN_MODIFY)
		require.NoError(s.t, err)
		return func() {
			events := make([]byte, 4096)
			_, err := unix.Read(watch, events)
			require.ErrorIs(s.t, err, unix.EAGAIN, "a hand-over is nothing to hear of")
			name := fmt.Sprint("new-", s.round)
			require.NoError(s.t, os.WriteFile(s.path(name), nil, 0o600))
			n, err := unix.Read(watch, events)
			require.NoError(s.t, err)
			require.Contains(s.t, string(events[:n]), name)
			require.NoError(s.t, os.WriteFile(s.path("file"), []byte{1}, 0o600))
			n, err = unix.Read(watch, events)
			require.NoError(s.t, err)
			require.NotZero(s.t, n)
		}
	}},
	{"pages, when the file has changed behind the mount", func(s *site) func() {
		long := time.Now().Add(-time.Hour) // the kernel may keep pages of what has settled
		change := func(round int) string {
			content := strings.Repeat(strconv.Itoa(round), 4096)
			require.NoError(s.t, os.WriteFile(s.stored("file"), []byte(content), 0o600))
			require.NoError(s.t, os.Chtimes(s.stored("file"), long, long)) // it looks as before
			return content
		}
		change(0)
		read := func() string {
			content, err := os.ReadFile(s.path("file"))
			require.NoError(s.t, err)
			return string(content)
		}
		read()
		read()
		return func() {
			require.Equal(s.t, strings.Repeat(strconv.Itoa(s.round-1), 4096), read())
			require.Equal(s.t, change(s.round), read())
			require.Equal(s.t, change(s.round), read())
		}
	}},
	{"modes, umasks and access control lists", func(s *site) func() {
		require.NoError(s.t, os.Chmod(s.behind, 0o777))
		want := s.makeAsUser(s.behind)
		return func() { require.Equal(s.t, want, s.makeAsUser(s.dir)) }
	}},
}

// makeAsUser lets a user make things in a directory, and write to a setuid program, and
// returns what they are like.
func (s *site) makeAsUser(dir string) string {
	s.t.Helper()
	dir = filepath.Join(dir, "round")
	require.NoError(s.t, os.RemoveAll(dir))
	for _, name := range []string{"", "listed"} {
		require.NoError(s.t, os.Mkdir(filepath.Join(dir, name), 0o755))
		require.NoError(s.t, os.Chmod(filepath.Join(dir, name), 0o777))
	}
	listed := simple(7, 5, 7, 0, 7, 0)
	require.NoError(s.t, unix.Setxattr(filepath.Join(dir, "listed"), aclDefault, listed.encode(), 0))
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, "suid"), []byte("program"), 0o755))
	require.NoError(s.t, unix.Chmod(filepath.Join(dir, "suid"), 0o6777))
	script := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-ec",
		`umask 027; : >file; mkdir directory; : >listed/file; mkdir listed/directory; echo >>suid; stat -c '%n %a %u %g' * listed/*`)
	script.Dir = dir
	out, err := script.CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	for _, name := range []string{"listed/file", "listed/directory"} {
		list := make([]byte, 200)
		n, err := unix.Getxattr(filepath.Join(dir, name), aclAccess, list)
		require.NoError(s.t, err)
		out = fmt.Appendf(out, "%s %x\n", name, list[:n])
	}
	return string(out)
}

// reads reads some entries of a directory and counts them.
func (s *site) reads(directory *os.File, seen map[string]int) (count int) {
	s.t.Helper()
	buffer := make([]byte, 5000)
	n, err := unix.ReadDirent(int(directory.Fd()), buffer)
	require.NoError(s.t, err)
	_, _, names := unix.ParseDirent(buffer[:n], -1, nil)
	for _, name := range names {
		seen[name]++
	}
	if n > 0 {
		seen["."], seen[".."] = 1, 1 // which ParseDirent passes over
	}
	return n
}

func (s *site) lstat(name string) unix.Stat_t {
	s.t.Helper()
	var st unix.Stat_t
	require.NoError(s.t, unix.Lstat(s.path(name), &st))
	return st
}
