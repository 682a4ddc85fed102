//go:build linux

package integration

import (
	"encoding/gob"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A program is another process that opens a file of the mount, and does with it what
// it is told to. It is this test's program, started by another name.
type program struct {
	cmd     *exec.Cmd
	orders  *gob.Encoder
	answers *gob.Decoder
	end     io.Closer
}

// An order says what to do at an offset of the file.
type order struct {
	What string // "read", "write", "send": sendfile(2), "map": read a mapping, "store": write to one
	Off  int64
	Size int
	Data []byte
}

type answer struct {
	Data  []byte
	Errno syscall.Errno
}

var _ = addHelper("obey", func(args []string) string { return obey(args[0], number(args[1])) })

// obey opens a file with flags, says how that went, and follows orders.
func obey(path string, flags int) string {
	fd, err := unix.Open(path, flags, 0)
	answers, orders := gob.NewEncoder(os.Stdout), gob.NewDecoder(os.Stdin)
	must(answers.Encode(answer{Errno: errnoOf(err)}))
	for err == nil {
		var o order
		if orders.Decode(&o) != nil {
			return ""
		}
		must(answers.Encode(o.follow(fd)))
	}
	return ""
}

func (o order) follow(fd int) (a answer) {
	var n int
	var err error
	memory, mapped := unix.Mmap(-1, 0, max(o.Size, len(o.Data)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	must(mapped) // it is aligned, as O_DIRECT wants it
	copy(memory, o.Data)
	switch o.What {
	case "read":
		n, err = unix.Pread(fd, memory, o.Off)
	case "write":
		_, err = unix.Pwrite(fd, memory, o.Off)
	case "send":
		n, err = sendTo(memory, fd, o.Off)
	case "map", "store":
		n = o.Size
		err = throughMapping(fd, o.What == "store", memory, int(o.Off))
	}
	return answer{memory[:max(n, 0)], errnoOf(err)}
}

// sendTo reads what sendfile(2) sends, which is what the kernel has in its pages.
func sendTo(memory []byte, fd int, off int64) (n int, err error) {
	out, err := unix.MemfdCreate("sent", unix.MFD_CLOEXEC)
	must(err)
	defer unix.Close(out)
	if _, err := unix.Sendfile(out, fd, &off, len(memory)); err != nil {
		return 0, err
	}
	return unix.Pread(out, memory, 0)
}

// throughMapping copies between memory and a shared mapping of the file's first page.
func throughMapping(fd int, store bool, memory []byte, off int) error {
	m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	if store {
		copy(m[off:], memory)
	} else {
		copy(memory, m[off:])
	}
	return errors.Join(unix.Msync(m, unix.MS_SYNC), unix.Munmap(m))
}

func errnoOf(err error) (errno syscall.Errno) {
	if err != nil && !errors.As(err, &errno) {
		panic(err)
	}
	return errno
}

// install copies this test's program to dir by another name.
func install(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	content, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o755))
	return path
}

// runProgram starts a program that opens the file.
func runProgram(t *testing.T, executable, path string, flags int) *program {
	t.Helper()
	cmd := help("obey", path, strconv.Itoa(flags))
	cmd.Path = executable
	return startProgram(t, cmd)
}

func startProgram(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	orders, err := cmd.StdinPipe()
	require.NoError(t, err)
	answers, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &program{cmd, gob.NewEncoder(orders), gob.NewDecoder(answers), orders}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, or is to
		_ = cmd.Wait()
	})
	var opened answer
	require.NoError(t, p.answers.Decode(&opened))
	require.Zero(t, opened.Errno, "open: %v", opened.Errno)
	return p
}

func (p *program) do(t *testing.T, o order) answer {
	t.Helper()
	require.NoError(t, p.orders.Encode(o))
	var a answer
	require.NoError(t, p.answers.Decode(&a))
	return a
}

func (p *program) read(t *testing.T, off int64, size int) []byte {
	t.Helper()
	a := p.do(t, order{What: "read", Off: off, Size: size})
	require.Zero(t, a.Errno, "read: %v", a.Errno)
	return a.Data
}

func (p *program) write(t *testing.T, off int64, data []byte) {
	t.Helper()
	a := p.do(t, order{What: "write", Off: off, Data: data})
	require.Zero(t, a.Errno, "write: %v", a.Errno)
}

// quit ends the program.
func (p *program) quit(t *testing.T) {
	t.Helper()
	require.NoError(t, p.end.Close())
	require.NoError(t, p.cmd.Wait())
}
