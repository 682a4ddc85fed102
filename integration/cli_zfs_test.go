//go:build linux

package integration

import (
	"os"
	"strings"
	"testing"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
)

// fakeZFS answers the listings that the program asks for from lines in files:
// those of the datasets that it is asked for, as zfs prints them. Of the last of
// the properties it has to say that it is not set.
const fakeZFS = `#!/bin/sh
echo "$@" >>"$STATE/calls"
for name; do :; done
tell() { grep -E "$1" "$STATE/datasets" | sed "s/^\\([^	]*\\)	clonefs:identity	.*/&\n\\1	${2##*,}	-	-/"; }
case "$*" in
*" -r "*) tell "^$name(/[^	]*)?	" "$8" | grep . && exit ;;
*) properties=$8; shift 8; for name; do tell "^$name	" "$properties"; done; exit ;;
esac
echo "cannot open '$name': dataset does not exist" >&2
exit 1
`

// A fakePool stands for datasets where there is no ZFS: a zfs program that tells
// of them, and mounts of the type fuse.zfs, which zfs-fuse makes.
type fakePool struct{ *cli }

func newFakePool(t *testing.T) fakePool {
	t.Helper()
	p := fakePool{newCLI(t)}
	require.NoError(t, os.WriteFile(p.path("zfs"), []byte(fakeZFS), 0o755))
	require.NoError(t, os.WriteFile(p.path("datasets"), nil, 0o600))
	p.env = append(p.env, "STATE="+p.dir, "PATH="+p.dir+":"+os.Getenv("PATH"))
	return p
}

// create makes a dataset without mounting it.
func (p fakePool) create(name, guid, identity string) {
	p.t.Helper()
	source := "local"
	if identity == "-" {
		source = "-"
	}
	lines := name + "\tguid\t" + guid + "\t-\n" + name + "\tclonefs:identity\t" + identity + "\t" + source + "\n"
	file, err := os.OpenFile(p.path("datasets"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(p.t, err)
	_, err = file.WriteString(lines)
	require.NoError(p.t, err)
	require.NoError(p.t, file.Close())
}

// mountDataset mounts a dataset with one image in it at a directory.
func (p fakePool) mountDataset(name, dir string) {
	p.t.Helper()
	content := "pool/" + strings.ReplaceAll(name, "/", "-")
	p.writeImage(content + "/disk.vdi")
	require.NoError(p.t, os.MkdirAll(p.path(dir), 0o755))
	root, err := gofuse.NewLoopbackRoot(p.path(content))
	require.NoError(p.t, err)
	server, err := gofuse.Mount(p.path(dir), root, &gofuse.Options{MountOptions: fuse.MountOptions{
		FsName: name, Name: "zfs", AllowOther: true, DirectMountStrict: true,
	}})
	require.NoError(p.t, err)
	p.t.Cleanup(func() {
		p.cleanUp() // a mount of clonefs that was left could be in the way
		require.NoError(p.t, server.Unmount())
	})
}

func TestCLIServesDatasets(t *testing.T) {
	p := newFakePool(t)
	p.create("tank/ci", "1", "-")
	p.create("tank/ci/job-1", "8289186342831999723", "-")
	p.create("tank/ci/deep/er", "3", "ci-7")
	p.create("tank/ci/unmounted", "4", "-")
	p.create("tank/other", "5", "-")
	p.mountDataset("tank/ci/job-1", "one")
	p.mountDataset("tank/ci/deep/er", "two")
	p.mountDataset("tank/other", "three")

	out := p.succeed("mount", "--log-file=log", "tank/ci", "mnt")
	require.Contains(t, out, "zfs:tank/ci is mounted on "+p.path("mnt"))
	require.Contains(t, p.mounted(), " - fuse.clonefs zfs:tank/ci ")
	require.Equal(t, "9079169b-83f3-4db2-a61c-58568c9e7cb0", p.uuidOf("mnt/job-1/disk.vdi"))
	require.Equal(t, "9079169b-65a6-4adc-bcb0-7df58c9e7cb0", p.uuidOf("mnt/deep/er/disk.vdi"))

	list := p.list("mnt")
	require.Len(t, list.Images, 2)
	require.Equal(t, "deep/er", list.Images[0].Volume)
	require.Equal(t, "name:ci-7", list.Images[0].Identity)
	require.Equal(t, "zfs:8289186342831999723", list.Images[1].Identity)
	require.Equal(t, list.Images, p.list("zfs:tank/ci").Images)

	p.create("tank/ci/job-2", "8289186342831999723", "-")
	p.mountDataset("tank/ci/job-2", "four")
	p.eventually("a new dataset is served", func() bool {
		_, err := os.Stat(p.path("mnt/job-2/disk.vdi"))
		return err == nil
	})
	require.Equal(t, "9079169b-83f3-4db2-a61c-58568c9e7cb0", p.uuidOf("mnt/job-2/disk.vdi"))
	require.True(t, p.list("mnt").Images[2].Duplicate, "two volumes with one identity")
	p.succeed("unmount", "mnt")
}

func TestCLIDatasetErrorsHaveAnAnswer(t *testing.T) {
	p := newFakePool(t)
	p.create("tank/ci", "1", "-")
	p.create("tank/ci/job-1", "2", "-")
	p.fail(1, "there is no dataset tank/typo: `zfs list`", "mount", "--log-file=log", "tank/typo", "mnt")
	p.fail(1, "there is no dataset", "ls", "zfs:tank/typo")

	r := p.run("mount", "--log-file=log", "tank/ci", "mnt")
	require.Zero(t, r.status, r.stderr)
	require.Contains(t, r.stderr, "clonefs: no file system at or below tank/ci is mounted")
	require.Contains(t, p.log(), "zfs mount tank/ci")
	p.succeed("unmount", "mnt")
	p.awaitEnd()

	p.mountDataset("tank/ci/job-1", "one")
	require.NoError(t, os.Mkdir(p.path("one/inside"), 0o755))
	p.fail(1, "is inside", "mount", "--log-file=log", "tank/ci", "one/inside")
	p.fail(1, "would hide it", "mount", "--log-file=log", "--nonempty", "tank/ci", ".")
	p.fail(1, "cannot be the mount point too", "mount", "--log-file=log", "--nonempty", "tank/ci", "one")
}

func TestCLIWithoutZFSSaysSo(t *testing.T) {
	c := newCLI(t)
	r := c.inNamespaces(`
mkdir none
for dir in /usr/local/sbin /usr/sbin /sbin; do mount --bind none $dir; done
PATH=/usr/bin:/bin
! $CLONEFS mount tank/ci mnt
! $CLONEFS ls tank/ci
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Equal(t, 2, strings.Count(r.stderr, "there is no zfs program: install OpenZFS"), r.stderr)
}
