//go:build linux

package systemd_test

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/systemd/container"
	"github.com/clonefs/clonefs/vdi"
)

const (
	unit       = "clonefs@vm.service"
	shipped    = "../../systemd"
	source     = "/srv/clones"
	mountpoint = "/mnt/vm"
)

// A service is clonefs as make install puts it into a machine with systemd, with
// a configuration that mounts the directory source on mountpoint.
type service struct {
	*container.Container
	t testing.TB
}

// newService starts a systemd with clonefs in it. The service is not started;
// each of these volumes has an image in it, all with one UUID.
func newService(t testing.TB, volumes ...string) *service {
	t.Helper()
	s := &service{container.Start(t), t}
	program, err := os.ReadFile(daemon.Binary(t))
	require.NoError(t, err)
	s.write("/usr/local/bin/clonefs", program, 0o755)
	s.write("/usr/local/lib/systemd/system/clonefs@.service", shippedFile(t, "clonefs@.service"), 0o644)
	s.write("/etc/clonefs/vm.conf", configuration(t), 0o644)
	s.Run(t, "systemctl", "daemon-reload")
	s.makeDir(mountpoint)
	for _, volume := range volumes {
		s.write(filepath.Join(source, volume, "disk.vdi"), image(t), 0o644)
	}
	return s
}

func shippedFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(shipped, name))
	require.NoError(t, err)
	return content
}

// configuration is the example, edited as it says.
func configuration(t testing.TB) []byte {
	t.Helper()
	text := string(shippedFile(t, "example.conf"))
	for setting, value := range map[string]string{"SOURCE": "dir:" + source, "MOUNTPOINT": mountpoint} {
		line := regexp.MustCompile("(?m)^" + setting + "=.*$")
		require.Len(t, line.FindAllString(text, -1), 1)
		text = line.ReplaceAllString(text, setting+"="+value)
	}
	return []byte(text)
}

// image is the header of a disk that VirtualBox made.
func image(t testing.TB) []byte {
	t.Helper()
	content, err := os.ReadFile("../../vdi/testdata/vbox-7.2-dynamic.bin")
	require.NoError(t, err)
	return content
}

func (s *service) makeDir(name string) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(s.Path(name), 0o755))
}

// write writes a file of the machine and makes the directories above it.
func (s *service) write(name string, content []byte, mode os.FileMode) {
	s.t.Helper()
	s.makeDir(filepath.Dir(name))
	require.NoError(s.t, os.WriteFile(s.Path(name), content, mode))
}

// systemctl runs systemctl for the service.
func (s *service) systemctl(verb string, flags ...string) {
	s.t.Helper()
	s.Run(s.t, "systemctl", append([]string{verb, unit}, flags...)...)
}

// property returns what systemd says of the service; see org.freedesktop.systemd1(5).
func (s *service) property(name string) string {
	s.t.Helper()
	return strings.TrimSpace(s.Run(s.t, "systemctl", "show", "--value", "--property", name, unit))
}

// eventually waits for a property to become a value.
func (s *service) eventually(property, value string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.property(property) == value }, container.Patience, 50*time.Millisecond, "%s=%s", property, value)
}

// log returns what the service's programs have written to the journal.
func (s *service) log() string {
	s.t.Helper()
	return s.Run(s.t, "journalctl", "--no-pager", "--quiet", "--output=cat", "--identifier=clonefs")
}

// logged waits until the service's programs have written all these words to the
// journal, which takes a moment.
func (s *service) logged(words ...string) {
	s.t.Helper()
	if !assert.Eventually(s.t, func() bool { return containsAll(s.log(), words) }, container.Patience, 50*time.Millisecond) {
		require.FailNow(s.t, "not in the journal", "%q is not in %s", words, s.log())
	}
}

func containsAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}

// processFile reads a file of the daemon's in /proc.
func (s *service) processFile(name string) string {
	s.t.Helper()
	content, err := os.ReadFile(s.Path(filepath.Join("/proc", s.property("MainPID"), name)))
	require.NoError(s.t, err)
	return string(content)
}

// mounts returns the lines of the mount table for the mount point.
func (s *service) mounts() (lines []string) {
	s.t.Helper()
	table, err := os.ReadFile(s.Path("/proc/1/mountinfo"))
	require.NoError(s.t, err)
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, " "+mountpoint+" ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// disk is where this process finds the image of a volume on the mount.
func (s *service) disk(volume string) string {
	return s.Path(filepath.Join(mountpoint, volume, "disk.vdi"))
}

// requireMapped fails if the image of a volume does not have, on the mount, the
// UUID that is the volume's for good.
func (s *service) requireMapped(volume string) {
	s.t.Helper()
	content, err := os.ReadFile(s.disk(volume))
	require.NoError(s.t, err)
	requireMapped(s.t, volume, content)
}

func requireMapped(t testing.TB, volume string, content []byte) {
	t.Helper()
	presented, err := vdi.Parse(content)
	require.NoError(t, err)
	stored, err := vdi.Parse(image(t))
	require.NoError(t, err)
	require.NotEqual(t, stored.Create, presented.Create)
	require.Equal(t, vdi.NewMask("dir:"+volume, vdi.KeepGuestSerial).Map(stored.Create), presented.Create)
}

// use has a process of the machine keep an image on the mount open, until the
// returned function is called.
func (s *service) use(volume string) (end func()) {
	s.t.Helper()
	shell := s.Command("sh", "-c", `exec 3<"$0" && echo open && cat`, filepath.Join(mountpoint, volume, "disk.vdi"))
	input, err := shell.StdinPipe()
	require.NoError(s.t, err)
	output, err := shell.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, shell.Start())
	end = sync.OnceFunc(func() {
		_ = input.Close() // that ends cat, and so the shell
		_ = shell.Wait()
	})
	s.t.Cleanup(end)
	said, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(s.t, err)
	require.Equal(s.t, "open\n", said)
	return end
}
