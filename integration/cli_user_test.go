//go:build linux

package integration

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// userScript makes what belongs to nobody: a source, and a mount point in a
// directory that nobody owns.
const userScript = `
chown -R 65534:65534 src mnt
`

func TestCLIUserMountsWithoutRoot(t *testing.T) {
	requireTool(t, "fusermount3")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(userScript + `
user $CLONEFS mount ./src mnt
user $CLONEFS ls mnt
user sh -c 'cd mnt/job-1 && echo $$ >"$HOME/pid" && exec sleep 600' &
until pgrep -x sleep; do :; done
busy=0
user $CLONEFS unmount mnt || busy=$?
kill "$(cat "$NOBODY_HOME/pid")"
wait $! || true
echo "busy: $busy"
user $CLONEFS unmount mnt
! findmnt mnt
user test -f "$NOBODY_HOME/.local/state/clonefs/clonefs.log"
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Contains(t, r.stdout, "log in "+c.path("home/.local/state/clonefs/clonefs.log"))
	require.Contains(t, r.stdout, "9079169b-0bcc-478b-92d7-ae738c9e7cb0")
	require.Contains(t, r.stdout, "busy: 3\n")
	require.Regexp(t, `sleep \(pid \d+\): working directory job-1`, r.stderr)
}

func TestCLIUserDaemonEndsByASignal(t *testing.T) {
	requireTool(t, "fusermount3")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(userScript + `
user $CLONEFS mount --log-file "$NOBODY_HOME/log" ./src mnt
daemon=$(pgrep -x clonefs)
user sh -c 'echo $$ >"$HOME/pid" && exec sleep 600 <mnt/job-1/disk.vdi' &
until pgrep -x sleep; do :; done
kill $daemon
until grep -q "signal again" "$NOBODY_HOME/log"; do :; done
kill $daemon
until ! findmnt mnt; do :; done
kill "$(cat "$NOBODY_HOME/pid")"
until ! pgrep -x clonefs; do :; done
cat "$NOBODY_HOME/log"
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Regexp(t, `sleep \(pid \d+\): open file job-1/disk.vdi`, r.stdout)
	require.Contains(t, r.stdout, "msg=unmounted")
}

func TestCLIUserIsToldWhatIsMissing(t *testing.T) {
	requireTool(t, "fusermount3")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(userScript + `
! user $CLONEFS mount --allow-other ./src mnt
echo user_allow_other >fuse.conf
mount --bind fuse.conf /etc/fuse.conf
user $CLONEFS mount --allow-other ./src mnt
cat mnt/job-1/disk.vdi >/dev/null
user $CLONEFS unmount mnt

mkdir -m 700 secret
! user $CLONEFS mount ./secret mnt
$CLONEFS mount ./src mnt
! user $CLONEFS ls mnt
! user $CLONEFS unmount mnt
$CLONEFS unmount mnt

mkdir not-mine
! user $CLONEFS mount ./src not-mine

chmod 600 devices/fuse
! user $CLONEFS mount ./src mnt
chmod 666 devices/fuse
`)
	require.Contains(t, r.stderr, "the line user_allow_other")
	require.Contains(t, r.stderr, "/secret cannot be read by this user")
	require.Contains(t, r.stderr, "mount it with --allow-other")
	require.Contains(t, r.stderr, "not mounted by this user")
	require.Contains(t, r.stderr, "is not yours to write to")
	require.Contains(t, r.stderr, "/dev/fuse may not be opened by this user")
	require.Zero(t, r.status, r.stdout+r.stderr)
}

func TestCLIUserWithoutFusermount3IsToldSo(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(userScript + `
mkdir none
! user env PATH="$PWD/none" $CLONEFS mount ./src mnt
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Contains(t, r.stderr, "install the package fuse3")
}

func TestCLIUserSeesWhichFilesCannotBeListed(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi", "job-2/disk.vdi", "job-3/disk.vdi")
	require.NoError(t, os.Chmod(c.path("src/job-1/disk.vdi"), 0))
	require.NoError(t, os.Chmod(c.path("src/job-3"), 0))
	r := c.inNamespaces(`
status=0
user $CLONEFS ls ./src || status=$?
echo "status: $status"
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Contains(t, r.stdout, "status: 1\n")
	require.Contains(t, r.stdout, "job-2")
	require.Contains(t, r.stderr, "job-1/disk.vdi: permission denied")
	require.Contains(t, r.stderr, "job-3: permission denied")
	require.Equal(t, 2, strings.Count(r.stderr, "\n"), r.stderr)
}
