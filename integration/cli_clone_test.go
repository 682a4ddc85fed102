//go:build linux

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
)

// cloneOutput is the documented form of clone --json.
type cloneOutput struct {
	Source string `json:"source"`
	Clones []struct {
		Name     string   `json:"name"`
		Identity string   `json:"identity"`
		Paths    []string `json:"paths"`
	} `json:"clones"`
}

// newCLIOn is newCLI with a source on a file system of its own, for a test in a
// mount namespace of its own. It has an image in "golden".
func newCLIOn(t *testing.T, on backing) *cli {
	t.Helper()
	c := newCLI(t)
	mountBacking(t, on, c.path("device"), c.path("src"))
	c.writeImage("src/golden/disk.vdi")
	t.Cleanup(c.cleanUp) // before what it was mounted from goes
	return c
}

func (c *cli) requireNames(dir string, want ...string) {
	c.t.Helper()
	require.ElementsMatch(c.t, want, names(c.t, c.path(dir)))
}

func TestCLIClonesDirectories(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	for _, on := range withReflinks {
		t.Run(on.name, func(t *testing.T) {
			c := newCLIOn(t, on)
			require.Equal(t, c.path("src/job-1")+"\n", c.succeed("clone", "./src/golden", "src/job-1"), "no mount serves it")
			c.mount()
			out := c.succeed("clone", "dir:src/golden", "--count=3", "--first=9", "src/job-%02d")
			require.Equal(t, fmt.Sprintf("%[1]s/job-09\n%[1]s/job-10\n%[1]s/job-11\n", c.path("mnt")), out)
			require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))
			require.NotEqual(t, c.uuidOf("mnt/job-09/disk.vdi"), c.uuidOf("mnt/job-10/disk.vdi"))

			var made cloneOutput
			require.NoError(t, json.Unmarshal([]byte(c.succeed("clone", "--json", c.path("src/golden"), "src/job-2")), &made))
			require.Equal(t, "dir:"+c.path("src/golden"), made.Source)
			require.Equal(t, c.path("src/job-2"), made.Clones[0].Name)
			require.Equal(t, "dir:job-2", made.Clones[0].Identity)
			require.Equal(t, []string{c.path("mnt/job-2")}, made.Clones[0].Paths)

			c.fail(1, "job-09 already: no clone was made", "clone", "./src/golden", "--count=20", "src/job-%02d")
			c.fail(1, "clone what it was mounted from", "clone", "./mnt", "src/job-3")
			c.fail(1, "is in the clonefs mounted on", "clone", "./mnt/golden", "src/job-3")
			c.requireNames("src", "golden", "job-1", "job-2", "job-09", "job-10", "job-11")
		})
	}
}

func TestCLIDestroysDirectories(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	c := newCLIOn(t, onXFS)
	c.mount()
	c.succeed("clone", "./src/golden", "--count=4", "src/job-%d")
	require.Equal(t, c.path("src/job-1")+"\n"+c.path("src/job-2")+"\n", c.succeed("destroy", "./src/job-1", "dir:src/job-2"))
	c.fail(1, "no clone that clonefs has made", "destroy", "./src/golden")
	c.fail(1, "clonefs unmount", "destroy", "./mnt")
	c.fail(1, "is in the clonefs mounted on", "destroy", "./mnt/job-3")
	c.fail(2, "--recursive", "destroy", "--recursive", "./src/job-3")

	pid, end := c.use("job-3/disk.vdi")
	r := c.run("destroy", "./src/job-3", "./src/job-4")
	require.Equal(t, 3, r.status, r.stderr)
	require.Contains(t, r.stderr, c.path("src/job-3")+" is in use, and stays:\n")
	require.Contains(t, r.stderr, fmt.Sprintf("sleep (pid %d): ", pid))
	require.Contains(t, r.stderr, "job-3/disk.vdi")
	require.NotContains(t, r.stderr, "clonefs (pid", "the daemon is not who is to be ended")
	require.Equal(t, c.path("src/job-4")+"\n", r.stdout, "the others are destroyed")
	end()
	c.succeed("destroy", "./src/job-3")
	c.requireNames("src", "golden")
	c.succeed("destroy", "--original", "./src/golden")
	c.requireNames("src")
}

func TestCLICopiesOnlyWhenItIsTold(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	c := newCLIOn(t, backing{name: "tmpfs"})
	c.fail(1, "--copy", "clone", "./src/golden", "--count=3", "src/job-%d")
	c.requireNames("src", "golden")
	c.succeed("clone", "--copy", "./src/golden", "--count=3", "src/job-%d")
	require.Equal(t, cliUUID, c.uuidOf("src/job-3/disk.vdi"))

	c.mount("--manage", "--template=golden")
	require.ErrorIs(t, os.Mkdir(c.path("mnt/job-7"), 0o755), syscall.EOPNOTSUPP)
	require.Contains(t, c.log(), "--copy")
	c.succeed("unmount", "mnt")
	c.awaitEnd()
	c.mount("--manage", "--template=golden", "--copy")
	require.NoError(t, os.Mkdir(c.path("mnt/job-7"), 0o755))
}

func TestCLIClientsManageDirectories(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	for name, flags := range map[string][]string{
		"with flags":                 {"--manage", "--template=" + "./src/golden", "--top-owner=1234:5678", "--top-mode=1775"},
		"with options as in fstab":   {"-o", "manage,template=golden,top_owner=1234:5678,top_mode=1775"},
		"with a name in both places": {"-o", "manage", "--template=dir:golden", "--top-owner=1234:5678", "-o", "top_mode=01775"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCLIOn(t, onBtrfs)
			c.mount(flags...)
			info, err := os.Stat(c.path("mnt"))
			require.NoError(t, err)
			require.Equal(t, os.ModeDir|os.ModeSticky|0o775, info.Mode())
			require.EqualValues(t, 1234, info.Sys().(*syscall.Stat_t).Uid)
			require.EqualValues(t, 5678, info.Sys().(*syscall.Stat_t).Gid)

			require.NoError(t, os.Mkdir(c.path("mnt/job-1"), 0o755))
			require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", c.uuidOf("mnt/job-1/disk.vdi"))
			require.NoError(t, os.Rename(c.path("mnt/job-1"), c.path("mnt/job-2")))
			require.NoError(t, syscall.Rmdir(c.path("mnt/job-2")))
			require.ErrorIs(t, syscall.Rmdir(c.path("mnt/golden")), syscall.EPERM)
			require.Contains(t, c.log(), "rmdir golden refused")
			c.requireNames("src", "golden")
		})
	}
}

func TestCLICloneRefusesWhatMakesNoSense(t *testing.T) {
	c := newCLI(t, "golden/disk.vdi")
	require.NoError(t, os.WriteFile(c.path("zfs"), []byte("#!/bin/sh\ntouch \"$0.asked\"\nexit 1\n"), 0o755))
	c.env = append(c.env, "PATH="+c.dir+":"+os.Getenv("PATH"))
	mount := func(flags ...string) []string { return append(append([]string{"mount"}, flags...), "./src", "mnt") }
	for says, args := range map[string][]string{
		"zfs snapshot tank/golden@v1":        {"clone", "tank/golden", "tank/job-1"},
		"name the dataset to make":           {"clone", "tank/golden@v1", "/srv/job-1"},
		"datasets are made of snapshots":     {"clone", "tank/golden@v1", "dir:job-1"},
		"for three digits, %03d":             {"clone", "tank/golden@v1", "--count=3", "tank/job"},
		"--count wants one name":             {"clone", "tank/golden@v1", "--count=3", "tank/job-%d", "tank/job"},
		"--count must be from 1":             {"clone", "tank/golden@v1", "--count=0", "tank/job-%d"},
		"--first is for --count":             {"clone", "tank/golden@v1", "--first=3", "tank/job"},
		"is named twice":                     {"clone", "tank/golden@v1", "tank/job", "zfs:tank/job"},
		"one identity for several clones":    {"clone", "tank/golden@v1", "--identity=x", "tank/a", "tank/b"},
		`"x" is no pattern`:                  {"clone", "tank/golden@v1", "--count=2", "--identity=x", "tank/job-%d"},
		"each property once":                 {"clone", "tank/golden@v1", "-o", "quota", "tank/job"},
		"clones of snapshots never are":      {"clone", "--copy", "tank/golden@v1", "tank/job"},
		"-o are for datasets":                {"clone", "-o", "quota=1G", "./src/golden", "src/job"},
		"not a dataset's name":               {"clone", "tank/golden@v1", "tank/a@b"},
		"see `clonefs destroy --help`":       {"destroy"},
		"--manage needs to know":             mount("--manage"),
		"add --manage, or leave":             mount("--template=golden"),
		"leave out one of them":              mount("--manage", "--template=golden", "--read-only"),
		"datasets are made of snapshots, di": mount("--manage", "--template=zfs:tank/golden@v1"),
		"no user \"nobody-of-this-name\"":    mount("--top-owner=nobody-of-this-name"),
		"octal permission bits":              mount("-o", "top_mode=999"),
		"option top_owner needs a value":     mount("-o", "top_owner"),
	} {
		c.fail(2, says, args...)
	}
	c.fail(1, "the template holds the source", mount("--manage", "--template=..")...)
	c.fail(1, "make clones of none", mount("--manage", "--template=none")...)
	require.NoFileExists(t, c.path("zfs.asked"))
}

// fakeCloningZFS makes and destroys clones that are lines of a file. It refuses to
// make one whose name is in the file "full", and to destroy one whose name is in
// the file "stuck", and takes a moment to make one.
const fakeCloningZFS = `#!/bin/sh
for name; do :; done
exec 9>>"$STATE/lock"
case "$1" in
clone)
	sleep 0.05
	if grep -qx "$name" "$STATE/full"; then
		echo "cannot create '$name': out of space" >&2
		exit 1
	fi
	flock 9
	printf '%s\tguid\t1\t-\n%s\tclonefs:identity\t-\t-\n%s\torigin\ttank/golden@v1\t-\n' "$name" "$name" "$name" >>"$STATE/datasets"
	exit ;;
destroy)
	if grep -qx "$name" "$STATE/stuck"; then
		echo "cannot destroy '$name': permission denied" >&2
		exit 1
	fi
	flock 9
	grep -v "^$name	" "$STATE/datasets" >"$STATE/rest"
	cat "$STATE/rest" >"$STATE/datasets"
	exit ;;
esac
flock 9
if [ "$name" = tank/golden@v1 ]; then
	printf '%s\tguid\t2\t-\n' "$name"
	exit
fi
property=$(printf %s "$8" | tr , '|')
case "$8" in
*,clonefs:end-*) end=${8##*,} ;;
*) end= ;;
esac
shift 8
status=0
for name; do
	if grep -E "^$name	($property)	" "$STATE/datasets"; then
		[ -z "$end" ] || printf '%s\t%s\t-\t-\n' "$name" "$end"
		continue
	fi
	echo "cannot open '$name': dataset does not exist" >&2
	status=1
done
exit $status
`

// newCloningPool is a pool in which clones can be made, and are not mounted.
func newCloningPool(t *testing.T) fakePool {
	t.Helper()
	p := newFakePool(t)
	require.NoError(t, os.WriteFile(p.path("zfs"), []byte(fakeCloningZFS), 0o755))
	for _, name := range []string{"full", "stuck"} {
		require.NoError(t, os.WriteFile(p.path(name), nil, 0o600))
	}
	return p
}

// clones are the names of those that there are.
func (p fakePool) clones() []string {
	p.t.Helper()
	text, err := os.ReadFile(p.path("datasets"))
	require.NoError(p.t, err)
	var names []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(line, "\t"); fields[1] == "guid" {
			names = append(names, fields[0])
		}
	}
	return names
}

func TestCLIMakesAllClonesOrNone(t *testing.T) {
	p := newCloningPool(t)
	r := p.run("clone", "tank/golden@v1", "--count=12", "tank/ci/job-%02d")
	require.Zero(t, r.status, r.stderr)
	require.Len(t, p.clones(), 12)
	require.True(t, strings.HasPrefix(r.stdout, "tank/ci/job-01\ntank/ci/job-02\n"), r.stdout)
	require.Contains(t, r.stderr, "job-01 is made, but it is not mounted")

	p.fail(1, "there is a dataset tank/ci/job-12 already", "clone", "tank/golden@v1", "tank/ci/new", "tank/ci/job-12")
	require.NoError(t, os.WriteFile(p.path("full"), []byte("tank/ci/new-15\n"), 0o600))
	r = p.run("clone", "tank/golden@v1", "--count=30", "tank/ci/new-%d")
	require.Equal(t, 1, r.status)
	require.Empty(t, r.stdout)
	require.Regexp(t, `(?s)cannot create 'tank/ci/new-15': out of space\nno clone was made: [0-9]+ clones, made before that, are destroyed again`, r.stderr)
	require.Len(t, p.clones(), 12)

	require.NoError(t, os.WriteFile(p.path("stuck"), []byte("tank/ci/new-2\n"), 0o600))
	r = p.run("clone", "tank/golden@v1", "--count=30", "tank/ci/new-%d")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, "left behind are\n  tank/ci/new-2: ")
	require.Len(t, p.clones(), 13)
}

func TestCLICtrlCUndoesAllClones(t *testing.T) {
	p := newCloningPool(t)
	requireTool(t, "script")
	command := exec.Command("script", "-qec", daemon.Binary(t)+" clone tank/golden@v1 --count 400 tank/ci/job-%d", os.DevNull)
	command.Env = append([]string{"TERM=xterm"}, p.env...)
	keyboard, err := command.StdinPipe()
	require.NoError(t, err)
	var terminal strings.Builder
	command.Stdout = &terminal
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill() })
	p.eventually("some clones are made", func() bool { return len(p.clones()) > 10 })
	_, err = keyboard.Write([]byte{3}) // Ctrl-C
	require.NoError(t, err)
	require.Error(t, command.Wait())
	require.Contains(t, terminal.String(), "interrupted")
	require.Contains(t, terminal.String(), "destroyed again")
	require.NotContains(t, terminal.String(), "left behind")
	require.Regexp(t, `cloning .*/400`, terminal.String(), "a progress bar")
	require.Empty(t, p.clones())
}
