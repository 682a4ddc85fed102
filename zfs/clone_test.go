package zfs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A fakeDataset is a zfs that knows of one dataset at most: it is a clone of what
// the file "origin" beside it says, and is not there without that file. What
// happens when it is to be changed is a script's business. It writes its arguments
// to the file "calls".
type fakeDataset struct {
	Command
	t   *testing.T
	dir string
}

func newFakeDataset(t *testing.T, origin, change string) fakeDataset {
	t.Helper()
	f := fakeDataset{t: t, dir: t.TempDir()}
	if origin != "" {
		require.NoError(t, os.WriteFile(f.dir+"/origin", []byte(origin), 0o600))
	}
	f.Command = fakeZFS(t, "cd '"+f.dir+`'
echo "$*" >>calls
for name; do :; done
case "$1" in
get)
	test -e origin || { echo "cannot open '$name': dataset does not exist" >&2; exit 1; }
	printf '%s\torigin\t%s\t-\n' "$name" "$(cat origin)"
	exit ;;
esac
`+change)
	return f
}

// changes are the runs that were to change something.
func (f fakeDataset) changes() []string {
	f.t.Helper()
	text, err := os.ReadFile(f.dir + "/calls")
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(f.t, err)
	var changes []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "get ") {
			changes = append(changes, strings.TrimSuffix(line, "\n"))
		}
	}
	return changes
}

func TestACloneIsMadeWithItsProperties(t *testing.T) {
	f := newFakeDataset(t, "", "")
	require.NoError(t, f.Clone(t.Context(), "tank/golden@v1", "tank/ci/job 1", map[string]string{"quota": "1G", IdentityProperty: "ci-7"}))
	require.Equal(t, []string{"clone -o clonefs:identity=ci-7 -o quota=1G tank/golden@v1 tank/ci/job 1"}, f.changes())
}

func TestWhatWasThereBeforeIsNeitherClonedOverNorDestroyed(t *testing.T) {
	f := newFakeDataset(t, "tank/golden@v1", "exit 1")
	require.ErrorIs(t, f.Clone(t.Context(), "tank/golden@v1", "tank/ci/job-1", nil), ErrExist)
	require.Empty(t, f.changes())
}

func TestACloneThatFailsLeavesNothing(t *testing.T) {
	const made = `case "$1" in clone) echo tank/golden@v1 >origin; `
	const destroy = `;; destroy) rm origin ;; esac`
	tests := map[string]struct {
		script string
		undone bool
	}{
		"killed before it was made":             {"kill -9 $$", false},
		"killed after it was made":              {made + "kill -9 $$" + destroy, true},
		"made, but not mounted":                 {made + "echo 'filesystem successfully created, but not mounted' >&2; exit 1" + destroy, true},
		"refused for a reason of its own":       {"echo \"cannot create '$name': out of space\" >&2; exit 1", false},
		"made by somebody else in the meantime": {made + "echo \"cannot create '$name': dataset already exists\" >&2; exit 1" + destroy, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFakeDataset(t, "", test.script)
			err := f.Clone(t.Context(), "tank/golden@v1", "tank/ci/job-1", nil)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "left behind")
			require.Equal(t, test.undone, len(f.changes()) == 2, "%q", f.changes())
			if test.undone {
				require.NoFileExists(t, f.dir+"/origin")
			}
		})
	}
}

func TestACloneThatCannotBeDestroyedAgainIsNamed(t *testing.T) {
	f := newFakeDataset(t, "", `[ "$1" = clone ] && echo tank/golden@v1 >origin; kill -9 $$`)
	err := f.Clone(t.Context(), "tank/golden@v1", "tank/ci/job-1", nil)
	require.ErrorContains(t, err, "tank/ci/job-1 may be left behind")
	require.Len(t, f.changes(), 4, "it is tried again when Ctrl-C kills zfs")
}

func TestAChangeIsNotInterruptedInTheMiddle(t *testing.T) {
	f := newFakeDataset(t, "", "sleep 0.3; touch done")
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	require.NoError(t, f.Clone(ctx, "tank/golden@v1", "tank/ci/job-1", nil))
	require.FileExists(t, f.dir+"/done")
	require.ErrorIs(t, f.Rename(ctx, "tank/a", "tank/b"), context.DeadlineExceeded, "and not begun any more")
	require.Len(t, f.changes(), 1)
}

func TestAChangeThatHangsIsGivenUp(t *testing.T) {
	f := newFakeDataset(t, "", "exec sleep 60")
	err := f.changeWithin(t.Context(), 100*time.Millisecond, nil, "rename", "a", "b")
	require.ErrorIs(t, err, ErrTimeout)
}

// Names that zfs would take for more than one dataset or snapshot, for an option,
// or for something else.
var dangerous = []string{"", "-r", "tank/a@%", "tank/a@b", "tank/a@b%c", "tank/a#mark", "tank/a,b", "/tank/a", "tank/", "tank//a", "tank/a\nb", "tank/*"}

func TestOnlyTheNameOfOneDatasetIsTaken(t *testing.T) {
	f := newFakeDataset(t, "tank/golden@v1", "")
	for _, name := range dangerous {
		_, err := f.Destroy(t.Context(), name, DestroyOptions{Original: true, With: DestroyClones})
		require.ErrorIs(t, err, ErrBadName, "%q", name)
		require.ErrorIs(t, f.Clone(t.Context(), "tank/golden@v1", name, nil), ErrBadName, "%q", name)
		require.ErrorIs(t, f.Rename(t.Context(), "tank/a", name), ErrBadName, "%q", name)
		require.ErrorIs(t, f.Rename(t.Context(), name, "tank/a"), ErrBadName, "%q", name)
	}
	for _, name := range []string{"", "tank/a", "tank/a@", "tank@a@b", "tank/a@%", "tank/a@b,c", "-o@x"} {
		require.ErrorIs(t, f.Clone(t.Context(), name, "tank/b", nil), ErrBadName, "%q", name)
		require.ErrorIs(t, f.CheckSnapshot(t.Context(), name), ErrBadName, "%q", name)
	}
	for _, identity := range []string{"", "a\tb", "a\nb"} {
		require.ErrorContains(t, f.Clone(t.Context(), "tank/golden@v1", "tank/b", map[string]string{IdentityProperty: identity}), IdentityProperty)
	}
	require.NoFileExists(t, filepath.Join(f.dir, "calls"), "zfs is not even asked")
}

func TestDestroyIsForClonesUnlessItIsTold(t *testing.T) {
	tests := map[string]struct {
		origin  string
		options DestroyOptions
		want    error
	}{
		"a clone":                                {"tank/golden@v1", DestroyOptions{}, nil},
		"what is no clone":                       {"-", DestroyOptions{}, ErrNotClone},
		"what is no clone, told so":              {"-", DestroyOptions{Original: true}, nil},
		"a clone of the snapshot that is wanted": {"tank/golden@v1", DestroyOptions{Origin: "tank/golden@v1"}, nil},
		"a clone of another":                     {"tank/golden@v2", DestroyOptions{Origin: "tank/golden@v1"}, ErrNotClone},
		"no clone, of a snapshot that is wanted": {"-", DestroyOptions{Origin: "tank/golden@v1"}, ErrNotClone},
		"what is not there":                      {"", DestroyOptions{}, ErrNotExist},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFakeDataset(t, test.origin, "")
			destroyed, err := f.Destroy(t.Context(), "tank/ci/job-1", test.options)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
				require.Empty(t, f.changes())
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"tank/ci/job-1"}, destroyed)
			require.Equal(t, []string{"destroy tank/ci/job-1"}, f.changes(), "never recursive by itself")
		})
	}
}

func TestDestroyTellsOfAllThatWent(t *testing.T) {
	f := newFakeDataset(t, "tank/golden@v1", `case "$*" in *-n*) printf 'destroy\ttank/a@s 1\ndestroy\ttank/a\nreclaim\t12345\n' ;; esac`)
	destroyed, err := f.Destroy(t.Context(), "tank/a", DestroyOptions{With: DestroyBelow})
	require.NoError(t, err)
	require.Equal(t, []string{"tank/a@s 1", "tank/a"}, destroyed)
	require.Equal(t, []string{"destroy -n -v -p -r tank/a", "destroy -r tank/a"}, f.changes())
}

func TestWhatIsBusyIsTriedAgainForAMoment(t *testing.T) {
	f := newFakeDataset(t, "tank/golden@v1", `if [ -e free ]; then exit; fi
touch free
echo "cannot unmount '/tank/a': pool or dataset is busy" >&2
exit 1`)
	_, err := f.Destroy(t.Context(), "tank/a", DestroyOptions{})
	require.NoError(t, err)
	require.Len(t, f.changes(), 2)

	busy := newFakeDataset(t, "tank/golden@v1", `echo "cannot unmount '/tank/a': pool or dataset is busy" >&2; exit 1`)
	began := time.Now()
	require.ErrorIs(t, busy.Rename(t.Context(), "tank/a", "tank/b"), ErrBusy)
	require.Greater(t, time.Since(began), closing)
}
