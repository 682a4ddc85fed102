package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/zfs"
)

func TestErrorsOfZFSHaveAnErrno(t *testing.T) {
	_, startFailed := exec.Command("/nonexistent").Output()
	for name, c := range map[string]struct {
		err  error
		want syscall.Errno
	}{
		"a name that is taken":         {&zfs.Error{Kind: zfs.ErrExist, Err: errors.New("exit status 1")}, syscall.EEXIST},
		"a dataset with snapshots":     {fmt.Errorf("destroy: %w", &zfs.Error{Kind: zfs.ErrHasChildren}), syscall.ENOTEMPTY},
		"what is no such clone":        {fmt.Errorf("destroy: %w", zfs.ErrNotClone), syscall.EPERM},
		"a client that was ended":      {&zfs.Error{Err: context.Canceled}, syscall.EINTR},
		"zfs that does not answer":     {&zfs.Error{Kind: zfs.ErrTimeout, Err: context.DeadlineExceeded}, syscall.EIO},
		"zfs that is not there":        {&zfs.Error{Kind: zfs.ErrNoProgram, Err: startFailed}, syscall.EIO},
		"what nobody has thought of":   {errors.New("something"), syscall.EIO},
		"a clone that could be undone": {errors.Join(context.Canceled, nil), syscall.EINTR},
	} {
		t.Run(name, func(t *testing.T) {
			err := withErrno(c.err)
			var errno syscall.Errno
			require.ErrorAs(t, err, &errno)
			require.Equal(t, c.want, errno)
			require.Equal(t, c.err.Error(), err.Error(), "the reason is for the log")
		})
	}
	require.NoError(t, withErrno(nil))
}

func TestEveryErrorOfZFSThatIsTheClientsAffairHasItsErrno(t *testing.T) {
	for _, e := range errnos {
		require.ErrorIs(t, withErrno(fmt.Errorf("zfs: %w", e.err)), e.errno)
	}
}

func TestTheTemplatesDatasetStaysWhereItIs(t *testing.T) {
	m := &datasetManager{dataset: "tank", template: "tank/images/golden@v1"}
	require.ErrorIs(t, m.Rename(t.Context(), "images", "other"), syscall.EBUSY)
	m.template = "tank/golden@v1"
	require.ErrorIs(t, m.Rename(t.Context(), "golden", "other"), syscall.EBUSY)
	require.ErrorIs(t, m.Rename(t.Context(), "job-1", strings.Repeat("x", 251)), syscall.ENAMETOOLONG)
}

func TestASnapshotIsNotTheClientsToDestroyOrRename(t *testing.T) {
	m := &datasetManager{dataset: "tank", template: "tank/golden@v1"}
	for name, err := range map[string]error{
		"destroy":                       m.Destroy(t.Context(), "job-1@before"),
		"destroy the source's own":      m.Destroy(t.Context(), "@before"),
		"rename":                        m.Rename(t.Context(), "job-1@before", "job-1@after"),
		"rename to what is no snapshot": m.Rename(t.Context(), "job-1@before", "job-2"),
	} {
		require.ErrorIs(t, err, syscall.EPERM, name)
		require.ErrorContains(t, err, "before is a snapshot", name)
	}
}

func TestPoolOf(t *testing.T) {
	for name, want := range map[string]string{"tank": "tank", "tank/a/b": "tank", "tank@s": "tank", "tank/a@s": "tank"} {
		require.Equal(t, want, poolOf(name))
	}
}

func TestOwnersAreNamesOrNumbers(t *testing.T) {
	root, seven := uint32(0), uint32(7777)
	for text, want := range map[string]ownerFlag{
		"root:root": {"root:root", &root, &root},
		"7777:0":    {"7777:0", &seven, &root},
		"root":      {"root", &root, nil},
		":7777":     {":7777", nil, &seven},
	} {
		var got ownerFlag
		require.NoError(t, got.Set(text))
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", ":", "no-such-user", ":no-such-group", "-1", "4294967296"} {
		require.Error(t, new(ownerFlag).Set(text), "%q", text)
	}
}

func TestModesAreOctal(t *testing.T) {
	for text, want := range map[string]uint32{"775": 0o775, "0775": 0o775, "1777": 0o1777, "0": 0} {
		var got modeFlag
		require.NoError(t, got.Set(text))
		require.Equal(t, want, got.bits)
	}
	for _, text := range []string{"", "rwx", "0999", "10000", "-1"} {
		require.Error(t, new(modeFlag).Set(text), "%q", text)
	}
}

// A plainSource has some volumes.
type plainSource map[string]fs.Volume

func (s plainSource) Volume(name string) (fs.Volume, bool) { v, ok := s[name]; return v, ok }

func (plainSource) Volumes() []fs.Volume                { return nil }
func (plainSource) Leads(string) bool                   { return false }
func (plainSource) Hides(string) bool                   { return false }
func (plainSource) Watch(context.Context, func()) error { return nil }

func TestTheTopIsWhatItsVolumeIsUnlessAFlagSaysOtherwise(t *testing.T) {
	mode := func(text string) (f modeFlag) { require.NoError(t, f.Set(text)); return f }
	owner := func(text string) (f ownerFlag) { require.NoError(t, f.Set(text)); return f }
	dir := t.TempDir()
	require.NoError(t, syscall.Chmod(dir, 0o750))
	own, err := ownershipOf(dir)
	require.NoError(t, err)
	with, without := plainSource{"": {Dir: dir}}, plainSource{}
	daemon := fs.Ownership{UID: uint32(syscall.Geteuid()), GID: uint32(syscall.Getegid()), Mode: 0o755}
	for name, c := range map[string]struct {
		config manageConfig
		source plainSource
		want   *fs.Ownership
	}{
		"its own":                          {manageConfig{enabled: true}, with, nil},
		"without a manager":                {manageConfig{}, without, nil},
		"with a manager, without a volume": {manageConfig{enabled: true}, without, &daemon},
		"another mode":                     {manageConfig{mode: mode("1775")}, with, &fs.Ownership{UID: own.UID, GID: own.GID, Mode: 0o1775}},
		"another group":                    {manageConfig{owner: owner(":77")}, with, &fs.Ownership{UID: own.UID, GID: 77, Mode: 0o750}},
		"another owner, without a volume":  {manageConfig{owner: owner("77")}, without, &fs.Ownership{UID: 77, GID: daemon.GID, Mode: 0o755}},
		"no permissions at all":            {manageConfig{mode: mode("0")}, with, &fs.Ownership{UID: own.UID, GID: own.GID, Mode: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.config.top(c.source)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestAVolumesPlaceFollowsFromTheMountsSource(t *testing.T) {
	for name, c := range map[string]struct {
		mounted string
		volume  sourceName
		place   string
		is      bool
	}{
		"a clone":                               {"zfs:tank/ci", sourceName{datasetKind, "tank/ci/job-1"}, "job-1", true},
		"a clone further down":                  {"zfs:tank/ci", sourceName{datasetKind, "tank/ci/a/b"}, "a/b", true},
		"the source itself":                     {"zfs:tank/ci", sourceName{datasetKind, "tank/ci"}, "", true},
		"a dataset beside it":                   {"zfs:tank/ci", sourceName{datasetKind, "tank/ci-2/job-1"}, "", false},
		"a directory":                           {"dir:/srv/vm", sourceName{directoryKind, "/srv/vm/job-1"}, "job-1", true},
		"a directory that is no volume":         {"dir:/srv/vm", sourceName{directoryKind, "/srv/vm/a/b"}, "", false},
		"a directory of the root":               {"dir:/", sourceName{directoryKind, "/job-1"}, "job-1", true},
		"a dataset of a directory's name":       {"dir:tank", sourceName{datasetKind, "tank/job-1"}, "", false},
		"a directory of a dataset's mount, too": {"zfs:tank", sourceName{directoryKind, "/tank/job-1"}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			place, is := placeOn(mounts.Mount{Source: c.mounted}, c.volume)
			require.Equal(t, c.is, is)
			if is {
				require.Equal(t, c.place, place)
			}
		})
	}
}
