package zfs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARecordedListingIsUnderstood(t *testing.T) {
	eachRecording(t, func(t *testing.T, recording string) {
		out := recordedList(t, recording, "-r", source)
		list, err := parseDatasets(out)
		require.NoError(t, err)
		require.Len(t, list, strings.Count(out, "\tguid\t"))
		require.Equal(t, source, list[0].Name, "the dataset itself comes first")
		for _, dataset := range list {
			require.Contains(t, out, fmt.Sprintf("%s\tguid\t%d\t-\n", dataset.Name, dataset.GUID))
		}
	})
}

func TestEveryNameThatZFSAllowsIsKeptAsItIs(t *testing.T) {
	names := []string{"job-1", "job 2", " lead", "trail ", " ", "-dash", ".dot", "...", "a..b", ".zfs", "012", "A:c_d-e.f:", "off/child"}
	eachRecording(t, func(t *testing.T, recording string) {
		list, err := parseDatasets(recordedList(t, recording, "-r", source))
		require.NoError(t, err)
		for _, name := range names {
			require.Contains(t, identities(list), source+"/"+name)
		}
	})
}

func TestAnIdentityIsTheGUIDUnlessItIsPinnedOnTheDatasetItself(t *testing.T) {
	eachRecording(t, func(t *testing.T, recording string) {
		list, err := parseDatasets(recordedList(t, recording, "-r", source))
		require.NoError(t, err)
		byName := identities(list)
		require.Equal(t, "name:ci-7", byName[source+"/pinned"])
		require.Equal(t, "original", byName[source+"/as it is"])
		require.Equal(t, "name:-", byName[source+"/dash"], "a dash is a value, too")
		require.Equal(t, "name:", byName[source+"/empty"])
		require.Regexp(t, `^zfs:\d+$`, byName[source+"/pinned/inherits"])
		require.Regexp(t, `^zfs:\d+$`, byName[source+"/job-1"])
	})
}

func identities(list []Dataset) map[string]string {
	byName := make(map[string]string, len(list))
	for _, dataset := range list {
		byName[dataset.Name] = dataset.Identity
	}
	return byName
}

func TestALineThatIsNotUnderstoodIsAnError(t *testing.T) {
	const good = "tank\tguid\t1\t-\ntank\tclonefs:identity\t-\t-\n"
	tests := map[string]string{
		"a line cut off":                  good + "tank/a\tguid\t2",
		"a property missing":              good + "tank/a\tguid\t2\t-\n",
		"a property of another dataset":   "tank\tguid\t1\t-\ntank/a\tclonefs:identity\t-\t-\n",
		"properties in the wrong order":   "tank\tclonefs:identity\t-\t-\ntank\tguid\t1\t-\n",
		"a property that was not asked":   "tank\tguid\t1\t-\ntank\torigin\t-\t-\n",
		"too few fields":                  "tank\tguid\t1\ntank\tclonefs:identity\t-\t-\n",
		"too many fields":                 "tank\tguid\t1\t-\ntank\tclonefs:identity\ta\tb\tlocal\n",
		"no name":                         "\tguid\t1\t-\n\tclonefs:identity\t-\t-\n",
		"no source":                       "tank\tguid\t1\t\ntank\tclonefs:identity\t-\t-\n",
		"a GUID that is not a number":     "tank\tguid\t-\t-\ntank\tclonefs:identity\t-\t-\n",
		"a GUID of more than 64 bits":     "tank\tguid\t18446744073709551616\t-\ntank\tclonefs:identity\t-\t-\n",
		"an empty line":                   "\n" + good,
		"a dataset that is there twice":   good + good,
		"a message between":               "warning\n" + good,
		"another's lines in a pinned one": "tank\tguid\t1\t-\ntank\tclonefs:identity\tx\tlocal\n" + good + "\tlocal\n",
	}
	for name, out := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseDatasets(out)
			require.Error(t, err)
		})
	}
}

func TestNothingListedIsNoError(t *testing.T) {
	list, err := parseDatasets("")
	require.NoError(t, err)
	require.Empty(t, list)
}
