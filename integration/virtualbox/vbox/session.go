//go:build linux

package vbox

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// A Session is one user's VirtualBox: a home with a media registry of its own,
// and a VBoxSVC of its own, which is started when it is needed. Its methods fail
// the test when they cannot do what they say.
type Session struct {
	t      testing.TB
	inst   Installation
	home   string
	id     string
	server *server
}

// NewSession makes a session with an empty registry. Its VBoxSVC ends with the
// test; if the test failed, the errors that VBoxSVC logged are printed.
func (i Installation) NewSession(t testing.TB) *Session {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(home, 0o700))
	s := &Session{t: t, inst: i, home: home, id: newID(), server: &server{}}
	t.Cleanup(s.cleanup)
	return s
}

// On returns the session with its failures going to another test: a subtest of
// the one that made it.
func (s *Session) On(t testing.TB) *Session {
	other := *s
	other.t = t
	return &other
}

// Manage runs VBoxManage with these arguments and returns its standard output.
func (s *Session) Manage(args ...string) string {
	s.t.Helper()
	out, err := s.TryManage(args...)
	require.NoError(s.t, err)
	return out
}

// TryManage is Manage for calls that may fail: the error carries what VBoxManage
// wrote to standard error.
func (s *Session) TryManage(args ...string) (string, error) {
	if err := s.startServer(); err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	cmd := s.inst.command("VBoxManage", args...)
	cmd.Env = s.environment()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("VBoxManage %s: %w: %s",
			strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// environment has the two variables that part this session from any other of
// the same user.
func (s *Session) environment() []string {
	return []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C",
		"HOME=" + s.home,
		"VBOX_USER_HOME=" + s.home,
		socketVariable + s.id,
	}
}

// Version returns the version of VirtualBox.
func (s *Session) Version() string {
	s.t.Helper()
	lines := strings.Fields(s.Manage("--version"))
	return lines[len(lines)-1]
}

// newID makes an ID that no other session of this machine has. It becomes a
// part of a socket's path, so it has to be short.
func newID() string { return uuid.NewString()[:13] }

func (s *Session) cleanup() {
	if s.t.Failed() {
		s.t.Logf("errors in VBoxSVC.log:\n%s", s.loggedErrors())
	}
	_ = s.endServer()
	s.killAll()
	_ = os.RemoveAll(filepath.Join("/", s.inst.root, "tmp", ".vbox-"+s.id+"-ipc"))
}

// loggedErrors returns the lines of VBoxSVC's log that tell of an error with a
// medium or a machine; it complains of more in a chroot.
func (s *Session) loggedErrors() string {
	log, _ := os.ReadFile(filepath.Join(s.home, "VBoxSVC.log"))
	var errors strings.Builder
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "ERROR") && !strings.Contains(line, "SystemPropertiesWrap") {
			errors.WriteString(line)
		}
	}
	return errors.String()
}
