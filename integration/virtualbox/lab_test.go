//go:build linux

package virtualbox_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// A lab is a directory of clones, a mount of it, and a VirtualBox.
type lab struct {
	t      testing.TB
	vb     *vbox.Session
	clones []clone
	mount  *daemon.Mount // nil until mounted

	source, mountpoint string
}

// A clone is a volume of a lab's source with the content of a golden directory.
type clone struct {
	name   string
	golden string
}

// virtualBox returns a VirtualBox with an empty registry.
func virtualBox(t testing.TB) *vbox.Session {
	t.Helper()
	inst, err := vbox.ForImages()
	require.NoError(t, err)
	return inst.NewSession(t)
}

// newLab makes a lab with an empty source.
func newLab(t testing.TB, vb *vbox.Session) *lab {
	t.Helper()
	dir := t.TempDir()
	l := &lab{t: t, vb: vb, source: filepath.Join(dir, "clones"), mountpoint: filepath.Join(dir, "mnt")}
	for _, d := range []string{l.source, l.mountpoint} {
		require.NoError(t, os.Mkdir(d, 0o755))
	}
	return l
}

// clone adds volumes with the content of a golden directory.
func (l *lab) clone(golden string, names ...string) {
	l.t.Helper()
	for _, name := range names {
		c := clone{name, golden}
		dir := filepath.Join(l.source, name)
		require.NoError(l.t, os.Mkdir(dir, 0o755))
		for _, image := range images[golden] {
			run(l.t, "cp", "--sparse=always", "--reflink=auto", goldenFile(l.t, golden, image), filepath.Join(dir, image))
		}
		l.clones = append(l.clones, c)
	}
}

// mounted mounts the source.
func (l *lab) mounted(flags ...string) {
	l.t.Helper()
	l.mount = daemon.Start(l.t, "dir:"+l.source, l.mountpoint, flags...)
}

// step runs a part of a test that builds on the parts before it. If it fails,
// the parts after it do not run.
func (l *lab) step(t *testing.T, name string, f func(l *lab)) {
	t.Helper()
	ok := t.Run(name, func(t *testing.T) {
		part := *l
		part.t, part.vb = t, l.vb.On(t)
		f(&part)
	})
	if !ok {
		t.FailNow()
	}
}

// stored returns the path of an image in the source.
func (l *lab) stored(volume, image string) string { return filepath.Join(l.source, volume, image) }

// presented returns the path of an image on the mount.
func (l *lab) presented(volume, image string) string {
	return filepath.Join(l.mountpoint, volume, image)
}
