package zfs

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecordedErrorsAreRecognised(t *testing.T) {
	list := func(more ...string) []string { return listCommand("filesystem", more...) }
	zfs := func(args ...string) []string { return append([]string{"zfs"}, args...) }
	nobody := func(command string) []string { return []string{"su -s /bin/sh nobody -c", command} }
	tests := []struct {
		what    string
		command []string
		about   string
		want    error
	}{
		{"a dataset that does not exist", list("-r", "tank/none"), "tank/none", ErrNotExist},
		{"a pool that does not exist", list("-r", "nopool/none"), "nopool/none", ErrNotExist},
		{"snapshots of what does not exist", listCommand("snapshot", "-r", "tank/none"), "tank/none", ErrNotExist},
		{"a block device", list("-r", source+"/volume"), source + "/volume", ErrNotMountable},
		{"a character that no name has", list("-r", "tank/no*name"), "tank/no*name", ErrBadName},
		{"a slash at the end", list("-r", "tank/slash/"), "tank/slash/", ErrBadName},
		{"a name too long", list("-r", "tank/"+strings.Repeat("0", 300)), "tank/" + strings.Repeat("0", 300), ErrBadName},
		{"destroying what does not exist", zfs("destroy", source+"/gone"), source + "/gone", ErrNotExist},
		{"destroying what has children", zfs("destroy", source+"/off"), source + "/off", ErrHasChildren},
		{"destroying what has snapshots", zfs("destroy", source+"/promoted"), source + "/promoted", ErrHasChildren},
		{"destroying what has clones", zfs("destroy", "-r", source+"/promoted"), source + "/promoted", ErrHasClones},
		{"destroying a snapshot that has clones", zfs("destroy", source+"/promoted@v 1"), source + "/promoted@v 1", ErrHasClones},
		{"destroying a snapshot that does not exist", zfs("destroy", source+"/promoted@gone"), source + "/promoted@gone", ErrNotExist},
		{"destroying a snapshot that is held", zfs("destroy", source+"/job-1@of a clone"), source + "/job-1@of a clone", ErrBusy},
		{"destroying what is in use", zfs("destroy", source+"/job 2"), source + "/job 2", ErrBusy},
		{"unmounting what is in use", zfs("unmount", source+"/job 2"), source + "/job 2", ErrBusy},
		{"renaming what is in use", zfs("rename", source+"/job 2", source+"/job 3"), source + "/job 2", ErrBusy},
		{"a clone whose name is taken", zfs("clone", source+"/promoted@v 1", source+"/job 2"), source + "/job 2", ErrExist},
		{"a clone of what does not exist", zfs("clone", source+"/promoted@gone", source+"/new"), source + "/promoted@gone", ErrNotExist},
		{"a clone without a parent", zfs("clone", source+"/promoted@v 1", "tank/no/parent"), "tank/no/parent", ErrNoParent},
		{"a clone in no pool", zfs("clone", source+"/promoted@v 1", "other/pool"), "other/pool", ErrNotExist},
		{"a clone with a bad name", zfs("clone", source+"/promoted@v 1", source+"/a*b"), source + "/a*b", ErrBadName},
		{"a new name that is taken", zfs("rename", source+"/job-1", source+"/job 2"), source + "/job-1", ErrExist},
		{"a snapshot whose name is taken", zfs("snapshot", source+"/job-1@of a clone"), source + "/job-1@of a clone", ErrExist},
		{"a user who may not clone", nobody("zfs clone '" + source + "/promoted@v 1' tank/new"), "tank/new", ErrPermission},
		{"a user who may not unmount", nobody("zfs rename '" + source + "/job-1' tank/new"), source + "/job-1", ErrPermission},
		{"a user who may not set a property", nobody("zfs set a:b=c '" + source + "/job-1'"), source + "/job-1", ErrPermission},
		{"a user who may not ask", nobody("zfs list tank"), "tank", ErrPermission},
	}
	eachRecording(t, func(t *testing.T, recording string) {
		for _, test := range tests {
			t.Run(test.what, func(t *testing.T) {
				require.Equal(t, test.want, classify(section(t, recording, test.command...), test.about))
			})
		}
	})
}

func TestAKernelWithoutZFSIsRecognised(t *testing.T) {
	for _, stderr := range []string{
		"The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs' as root to load them.",
		"/dev/zfs and /proc/self/mounts are required.\nTry running 'udevadm trigger' and 'mount -t proc proc /proc' as root.",
	} {
		require.Equal(t, ErrNoModule, classify(stderr))
	}
}

func TestAPoolThatGoesIsRecognised(t *testing.T) {
	require.Equal(t, ErrNotExist, classify("cannot open 'tank': no such pool", "tank/a"))
	require.NoError(t, classify("cannot open 'tan': no such pool", "tank/a"))
}

func TestAnErrorAboutAnotherDatasetIsNotTakenForOnesOwn(t *testing.T) {
	require.NoError(t, classify("cannot open 'tank/b': dataset does not exist", "tank/a"))
	require.NoError(t, classify("cannot destroy snapshot tank/b@x: dataset is busy", "tank/a@x"))
}

func TestWhatIsNotKnownIsNotGuessed(t *testing.T) {
	for _, stderr := range []string{
		"", "dataset does not exist", "cannot open 'tank': dataset does not exist or so",
		"internal error: cannot open 'tank': dataset does not exist", "cannot open 'tank': I/O error",
	} {
		require.NoError(t, classify(stderr, "tank"), "%q", stderr)
	}
}

func TestAnErrorShowsTheCommandAndWhatIsWrong(t *testing.T) {
	failed := errors.New("exit status 1")
	said := &Error{Args: []string{"get", "tank"}, Stderr: "cannot open 'tank': dataset does not exist", Kind: ErrNotExist, Err: failed}
	require.EqualError(t, said, "zfs get tank: cannot open 'tank': dataset does not exist")
	require.ErrorIs(t, said, ErrNotExist)
	require.ErrorIs(t, said, failed)
	silent := &Error{Args: []string{"get", "tank"}, Err: failed}
	require.EqualError(t, silent, "zfs get tank: exit status 1")
	require.ErrorIs(t, silent, failed)
}
