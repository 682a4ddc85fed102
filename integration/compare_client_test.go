package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Scenarios are played by another process, this test's program started anew:
// other users play them, and a process that serves a mount must not itself map
// files of it (a page fault would wait for an answer that nobody gives while
// the runtime stops the world).
const (
	tableVariable = "CLONEFS_TEST_TABLE" // the table that this process is to play
	helpVariable  = "CLONEFS_TEST_HELP"  // the help that it is to give; see helpers
)

func init() {
	if name, ok := os.LookupEnv(helpVariable); ok {
		fmt.Print(helpers[name](os.Args[1:]))
		os.Exit(0)
	}
	if table, ok := os.LookupEnv(tableVariable); ok {
		debug.SetPanicOnFault(true) // a fault in a mapping is an outcome
		playTable(tables[table], os.Args[1], os.Stdout)
		os.Exit(0)
	}
}

// A report is what the client saw in one scenario.
type report struct {
	Scenario string
	Lines    []string
}

// A startedClient is a process that plays a table.
type startedClient struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

func startClient(ctx context.Context, t *testing.T, dir, table string, who user) *startedClient {
	t.Helper()
	s := &startedClient{cmd: exec.CommandContext(ctx, "/proc/self/exe", dir)}
	s.cmd.Env = clientEnvironment(tableVariable + "=" + table)
	s.cmd.Dir = "/"
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: who.groups}}
	require.NoError(t, s.cmd.Start())
	return s
}

// clientEnvironment is that of a process that is no test. Signals of the Go
// runtime to itself would interrupt system calls; the race detector would wait
// for a second at the end.
func clientEnvironment(variable string) []string {
	return append(os.Environ(), variable, "GODEBUG=asyncpreemptoff=1", "GORACE=atexit_sleep_ms=0")
}

// finish returns what the client saw, by scenario.
func (s *startedClient) finish(t *testing.T) map[string][]string {
	t.Helper()
	err := s.cmd.Wait()
	seen, last := map[string][]string{}, "none"
	for decoder := json.NewDecoder(&s.stdout); decoder.More(); {
		var r report
		require.NoError(t, decoder.Decode(&r))
		seen[r.Scenario], last = r.Lines, r.Scenario
	}
	require.NoError(t, err, "the client in %s; the last scenario that it finished: %s\n%s", s.cmd.Args[1], last, s.stderr.String())
	return seen
}

// playTable plays a table whose directories are prepared in dir.
func playTable(table []scenario, dir string, out io.Writer) {
	encoder := json.NewEncoder(out)
	for i, sc := range table {
		c := &client{}
		c.play(sc, filepath.Join(dir, strconv.Itoa(i)))
		if err := encoder.Encode(report{sc.name, c.lines}); err != nil {
			panic(err)
		}
	}
}

// A client plays a scenario and notes what it sees.
type client struct {
	lines []string
	fds   []int
}

func (c *client) play(sc scenario, dir string) {
	defer func() {
		if r := recover(); r != nil {
			c.note("panic: %v", r)
		}
		c.closeAll()
	}()
	if err := os.Chdir(dir); err != nil {
		panic(err)
	}
	unix.Umask(0o022)
	sc.when(c)
}

func (c *client) closeAll() {
	for _, fd := range c.fds {
		unix.Close(fd)
	}
	c.fds = nil
}

// note notes something that must be the same on both sides.
func (c *client) note(format string, args ...any) {
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
}

// did notes how something ended, and tells whether it succeeded.
func (c *client) did(what string, err error) bool {
	c.note("%s: %s", what, outcome(err))
	return err == nil
}

// run runs a command and notes how it ended and what it said.
func (c *client) run(name string, args ...string) {
	out, err := exec.Command(name, args...).CombinedOutput()
	c.note("%s %q: %v %s", name, args, err, out)
}
