package integration

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// helpers are what this program does for a scenario in yet another process.
var helpers = map[string]func(args []string) string{
	"append":              func(args []string) string { return appendLines(args[0], args[1]) },
	"append-together":     func(args []string) string { return appendTogether(args[0]) },
	"write-while-running": func(args []string) string { return writeWhileRunning(args[0]) },
	"write-under-limit":   func(args []string) string { return writeUnderLimit(args[0]) },
	"read":                func(args []string) string { return readAll(args[0]) },
	"flock":               func(args []string) string { return tryFlock(args[0], number(args[1])) },
	"map": func(args []string) string {
		value, err := hex.DecodeString(args[2])
		must(err)
		return mapAndWrite(args[0], number(args[1]), value)
	},
	"lock": func(args []string) string {
		return tryLock(args[0], number(args[1]), int64(number(args[2])), int64(number(args[3])))
	},
}

// help starts a process that helps this one.
func help(helper string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = clientEnvironment(helpVariable + "=" + helper)
	return cmd
}

// otherProcess notes what a helper saw.
func (c *client) otherProcess(helper string, args ...string) {
	out, err := help(helper, args...).CombinedOutput()
	c.note("another process, %s %q: %s (%v)", helper, args, out, err)
}

const appendedLines = 300

// appendLines appends lines with a word to a file.
func appendLines(name, word string) string {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_APPEND, 0)
	for range appendedLines {
		if err == nil {
			_, err = unix.Write(fd, []byte(word+"\n"))
		}
	}
	return outcome(err)
}

// appendTogether appends to a file from two processes and counts the lines.
func appendTogether(name string) string {
	one, two := help("append", name, "first"), help("append", name, "second")
	must(one.Start())
	out, err := two.CombinedOutput()
	must(one.Wait())
	content, _ := os.ReadFile(name)
	return fmt.Sprintf("%s %v: %d and %d lines", out, err,
		strings.Count(string(content), "first\n"), strings.Count(string(content), "second\n"))
}

// writeWhileRunning opens a program for writing while it runs.
func writeWhileRunning(program string) string {
	cmd := exec.Command(program, "60")
	must(cmd.Start())
	_, err := unix.Open(program, unix.O_WRONLY, 0)
	seen := outcome(err) + " " + outcome(unix.Truncate(program, 0))
	must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	return seen
}

func readAll(name string) string {
	content, err := os.ReadFile(name)
	return fmt.Sprintf("%q %s", content, outcome(err))
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	must(err)
	return n
}

func tryFlock(name string, how int) string {
	fd, err := unix.Open(name, unix.O_RDONLY, 0)
	must(err)
	return outcome(unix.Flock(fd, how|unix.LOCK_NB))
}

// tryLock asks who is in the way of a record lock, and tries to set it.
func tryLock(name string, kind int, start, size int64) string {
	fd, err := unix.Open(name, unix.O_RDWR, 0)
	must(err)
	l := unix.Flock_t{Type: int16(kind), Start: start, Len: size}
	must(unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &l))
	inTheWay := fmt.Sprintf("in the way: type %d from %d, %d bytes, of a process: %t", l.Type, l.Start, l.Len, l.Pid > 0)
	l = unix.Flock_t{Type: int16(kind), Start: start, Len: size}
	return inTheWay + "; " + outcome(unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &l))
}

// writeUnderLimit writes and truncates beyond the limit of a file's size.
func writeUnderLimit(name string) string {
	signal.Ignore(unix.SIGXFSZ)
	must(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1000, Max: 1000}))
	fd, err := unix.Open(name, unix.O_WRONLY, 0)
	must(err)
	n, err := unix.Pwrite(fd, make([]byte, 2000), 500)
	said := fmt.Sprint(n, " ", outcome(err))
	_, err = unix.Pwrite(fd, []byte("x"), 1000)
	return said + " " + outcome(err) + " " + outcome(unix.Ftruncate(fd, 1001)) + " " + outcome(unix.Ftruncate(fd, 1000))
}
