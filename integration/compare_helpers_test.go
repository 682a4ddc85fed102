package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// helpers are what this program does for a scenario in yet another process.
var helpers = map[string]func(args []string) string{
	"append":              func(args []string) string { return appendLines(args[0], args[1]) },
	"append-together":     func(args []string) string { return appendTogether(args[0]) },
	"write-while-running": func(args []string) string { return writeWhileRunning(args[0]) },
}

// help starts a process that helps this one.
func help(helper string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), helpVariable+"="+helper)
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
	defer cmd.Wait()
	defer cmd.Process.Kill()
	_, err := unix.Open(program, unix.O_WRONLY, 0)
	return outcome(err) + " " + outcome(unix.Truncate(program, 0))
}
