//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
)

// Writers that make each record durable write on while the program is replaced by newer
// versions of itself, and the mount is handed to each.
func TestNothingIsLostWhenTheProgramIsUpgradedUnderLoad(t *testing.T) {
	l := newLoad(t)
	before := []string{"/dev/fuse", "socket"}
	l.eventually(t, "the daemon can be asked for the mount", func() bool { return slices.Equal(before, l.descriptors(t)) })
	upgrade := newUpgrade(t, l.mount)
	l.start(t)
	for range handovers() {
		l.await(t, 1)
		version := upgrade()
		l.mount.Replace(t)
		l.eventually(t, "the new version says that it has taken over", func() bool {
			return strings.Contains(l.mount.Log(), "version="+version+" from=")
		})
		l.goOn(t)
	}
	l.halt()
	l.checkErrors(t)
	l.eventually(t, "the last daemon has as many descriptors as the first had", func() bool { return slices.Equal(before, l.descriptors(t)) })
	l.check(t)
	last := l.goroutines(t)
	l.mount.Start(t)
	require.LessOrEqual(t, last, l.goroutines(t)+4, "goroutines of one that has taken over, and of one that has mounted")
	l.mount.Start(t)
}

// handovers is how often a mount is handed over under load.
func handovers() int {
	if isPlainRun() {
		return 20
	}
	return 5
}

// descriptors are those that the daemon has of files, of the device, and of what is used
// to hand a mount over. (The runtime has others, when it likes.)
func (l *load) descriptors(t *testing.T) (open []string) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", l.mount.PID()))
	require.NoError(t, err)
	for _, link := range links {
		to, _ := os.Readlink(link) // it may be closed by now
		kind, _, _ := strings.Cut(to, ":")
		if strings.HasPrefix(to, l.source) || slices.Contains([]string{"/dev/fuse", "/memfd", "socket"}, kind) {
			open = append(open, kind)
		}
	}
	slices.Sort(open)
	return open
}

var goroutine = regexp.MustCompile(`(?m)^goroutine \d+ .*\[([^\](,]*)`)

// goroutines counts them in what the daemon writes when it is killed by SIGQUIT, but for
// those that collect garbage, of which the runtime has as many as it likes.
func (l *load) goroutines(t *testing.T) int {
	t.Helper()
	before, pid := len(l.mount.Log()), l.mount.PID()
	require.NoError(t, syscall.Kill(pid, syscall.SIGQUIT))
	l.eventually(t, "the daemon has written all and ended", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	count := 0
	for _, found := range goroutine.FindAllStringSubmatch(l.mount.Log()[before:], -1) {
		if strings.TrimSpace(found[1]) != "GC worker" {
			count++
		}
	}
	return count
}

// newUpgrade lets a mount's next daemons run a program of their own. The function that
// it returns puts another version in that program's place, and returns which. As a build
// takes long, there is one, in which the version is changed.
func newUpgrade(t *testing.T, mount *daemon.Mount) (upgrade func() string) {
	t.Helper()
	const first = "v0.0.0-upgrade-00"
	mount.Program = filepath.Join(t.TempDir(), "clonefs")
	daemon.Build(t, mount.Program, first)
	program, err := os.ReadFile(mount.Program)
	require.NoError(t, err)
	number := 0
	return func() string {
		number++
		version := fmt.Sprintf("v0.0.0-upgrade-%02d", number)
		newer := bytes.ReplaceAll(program, []byte(first), []byte(version))
		require.NoError(t, os.WriteFile(mount.Program+".new", newer, 0o755))
		require.NoError(t, os.Rename(mount.Program+".new", mount.Program))
		return version
	}
}

// Who asks for the mount and does not take it, at whatever step, disturbs nobody.
func TestNothingIsLostWhenWhoTakesTheMountEndsHalfWay(t *testing.T) {
	l := newLoad(t)
	l.start(t)
	for _, step := range []string{"it connects", "it knows what is to come", "it has some descriptors", "it has all"} {
		t.Run(step, func(t *testing.T) {
			l.await(t, 1)
			l.takeHalf(t, step)
			l.goOn(t)
		})
	}
	l.mount.Replace(t)
	l.goOn(t)
	l.halt()
	l.checkErrors(t)
	l.check(t)
	l.mount.Unmount(t)
}

// A signal to end comes while the mount is handed over.
func TestNothingIsLostWhenTheDaemonIsToldToEndDuringAHandover(t *testing.T) {
	l := newLoad(t)
	l.start(t)
	for range handovers() / 5 {
		l.await(t, 1)
		pid, told := l.mount.PID(), make(chan struct{})
		begun := func() int { return strings.Count(l.mount.Log(), "another process takes the mount over") }
		before := begun()
		go func() {
			defer close(told)
			for begun() == before {
				time.Sleep(time.Millisecond / 10)
			}
			_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended
		}()
		l.mount.Replace(t)
		<-told
		l.goOn(t)
	}
	l.halt()
	l.checkErrors(t)
	l.check(t)
	l.mount.Unmount(t)
}
