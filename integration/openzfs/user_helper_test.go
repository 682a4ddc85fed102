//go:build linux

package openzfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/records"
)

// A user has a clone's image open, in the clone itself or on the mount, and notes what
// comes of using it: of two who do the same the notes must be the same.
type user struct {
	t     *testing.T
	dir   string
	image *os.File
	want  []byte // what is to be read from the image
	notes []string
}

func newUser(t *testing.T, dir string) *user {
	t.Helper()
	image, err := os.OpenFile(filepath.Join(dir, "disk.vdi"), os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = image.Close() }) // where the test has failed
	u := &user{t: t, dir: dir, image: image}
	u.want, err = os.ReadFile(image.Name())
	require.NoError(t, err)
	return u
}

// note notes what came of something, and returns whether it was done.
func (u *user) note(what string, err error) bool {
	u.notes = append(u.notes, what+": "+outcome(err))
	return err == nil
}

// outcome is the name of an error's errno, or "ok".
func outcome(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// write writes to the image, as much of it as there is room for.
func (u *user) write(data []byte, off int) error {
	for len(data) > 0 {
		n, err := unix.Pwrite(int(u.image.Fd()), data, int64(off))
		if err != nil {
			return err
		}
		if grow := off + n - len(u.want); grow > 0 {
			u.want = append(u.want, make([]byte, grow)...)
		}
		copy(u.want[off:], data[:n])
		data, off = data[n:], off+n
	}
	return nil
}

// path is the path of a name beside the image.
func (u *user) path(name string) string { return filepath.Join(u.dir, name) }

// check checks that the image is what was written to it, also when opened anew.
func (u *user) check() {
	u.t.Helper()
	again, err := os.ReadFile(u.image.Name())
	require.NoError(u.t, err)
	requireSame(u.t, u.want, again, "what is read, against what was written")
	open := make([]byte, len(u.want))
	_, err = u.image.ReadAt(open, 0)
	require.NoError(u.t, err)
	requireSame(u.t, u.want, open, "what the open file reads, against what was written")
}

// requireSame requires two large contents to be the same, without showing them.
func requireSame(t testing.TB, want, got []byte, what string) {
	t.Helper()
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	require.True(t, bytes.Equal(want, got), "%s: %d bytes are wanted, %d are there, and differ at %d", what, len(want), len(got), at)
}

// both are two users of clones that are alike, one of which is used on the mount, and
// another one of a third clone, which nothing that they do disturbs.
type both struct {
	direct, mounted *user
	other           *bystander
}

// newBoth makes the clones direct, mounted, and other.
func newBoth(t *testing.T, c *clones, options ...string) both {
	t.Helper()
	c.job("direct", options...)
	c.job("mounted", options...)
	c.job("other")
	return both{
		newUser(t, filepath.Dir(c.stored("direct"))), newUser(t, filepath.Dir(c.disk("mounted"))),
		c.newBystander(t, "other"),
	}
}

// set sets a property of both clones.
func (b both) set(c *clones, property string) {
	c.T.Helper()
	c.ZFS("set", property, c.Dataset("ci/direct"), c.Dataset("ci/mounted"))
}

// do has both do the same, and returns what they noted.
func (b both) do(t *testing.T, what func(u *user)) []string {
	t.Helper()
	for _, u := range []*user{b.direct, b.mounted} {
		u.notes = nil
		what(u)
		u.check()
	}
	require.Equal(t, b.direct.notes, b.mounted.notes)
	b.other.goesOn(t)
	return b.mounted.notes
}

// end closes the images. That on the mount has been stored as it was written, with
// the UUID that it had.
func (b both) end(c *clones) {
	c.T.Helper()
	for _, u := range []*user{b.direct, b.mounted} {
		require.NoError(c.T, u.image.Close())
	}
	stored, err := os.ReadFile(c.stored("mounted"))
	require.NoError(c.T, err)
	require.Equal(c.T, storedUUID, [16]byte(stored[uuidOffset:]))
	require.Equal(c.T, presentedUUID("zfs:"+c.GUID("ci/mounted")), [16]byte(b.mounted.want[uuidOffset:]))
	requireSame(c.T, b.mounted.want[512:], stored[512:], "what is stored, against what was written")
}

// A bystander writes durable records to a clone's image on the mount, from time to
// time, and gets no error.
type bystander struct {
	records.Writer
	image *os.File
}

func (c *clones) newBystander(t *testing.T, clone string) *bystander {
	t.Helper()
	image, err := os.OpenFile(c.disk(clone), os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, image.Close()) })
	return &bystander{records.Writer{Name: clone}, image}
}

// goesOn writes other records than the last time.
func (b *bystander) goesOn(t *testing.T) {
	t.Helper()
	const some = 3
	b.Salt++
	require.NoError(t, b.Write(b.image, func(n int64) bool { return n < some }))
	content, err := os.ReadFile(b.image.Name())
	require.NoError(t, err)
	require.EqualValues(t, some, b.Intact(content), "records")
}
