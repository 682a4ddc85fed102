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
		list, err := parseDatasets(out, recordedEnd)
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
		list, err := parseDatasets(recordedList(t, recording, "-r", source), recordedEnd)
		require.NoError(t, err)
		for _, name := range names {
			require.Contains(t, identities(list), source+"/"+name)
		}
	})
}

func TestAnIdentityIsTheGUIDUnlessItIsPinnedOnTheDatasetItself(t *testing.T) {
	eachRecording(t, func(t *testing.T, recording string) {
		list, err := parseDatasets(recordedList(t, recording, "-r", source), recordedEnd)
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

func TestRecordedSnapshotsAreUnderstood(t *testing.T) {
	const ofClone, inherits, pinned = source + "/job-1@of a clone", source + "/pinned@inherits", source + "/pinned@a b"
	eachRecording(t, func(t *testing.T, recording string) {
		for _, asked := range [][]string{{"-r", source}, {"-d", "1", source + "/pinned", source + "/job-1"}} {
			list, err := parseDatasets(section(t, recording, listCommand("snapshot", asked...)...), recordedEnd)
			require.NoError(t, err)
			byName := identities(list)
			require.Regexp(t, `^zfs:\d+$`, byName[ofClone])
			require.Regexp(t, `^zfs:\d+$`, byName[inherits], "what its file system is pinned to")
			require.Equal(t, "name:ci-8", byName[pinned])
		}
		list, err := parseDatasets(section(t, recording, listCommand("snapshot", "-d", "1", source+"/off")...), recordedEnd)
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

func TestARecordedIdentityThatLooksLikeAnotherDatasetsIsItsOwn(t *testing.T) {
	const forger, tabs, victim = source + "/job 2", source + "/job-1", source + "/ro"
	eachRecording(t, func(t *testing.T, recording string) {
		list, err := parseDatasets(recordedList(t, recording, tabs, forger, victim), recordedEnd)
		require.NoError(t, err)
		require.Len(t, list, 3)
		byName := identities(list)
		require.Equal(t, "name:a\ttab", byName[tabs])
		require.Regexp(t, `^name:x\tlocal\n`, byName[forger])
		require.Regexp(t, `^zfs:\d\d+$`, byName[victim])
	})
}

func identities(list []Dataset) map[string]string {
	byName := make(map[string]string, len(list))
	for _, dataset := range list {
		byName[dataset.Name] = dataset.Identity
	}
	return byName
}

// said is what zfs says of a dataset.
func said(name, guid, identity, source string) string {
	return name + "\tguid\t" + guid + "\t-\n" + name + "\tclonefs:identity\t" + identity + "\t" + source + "\n" + ended(name)
}

// ended is the last line of it.
func ended(name string) string { return name + "\t" + recordedEnd + "\t-\t-\n" }

func TestALineThatIsNotUnderstoodIsAnError(t *testing.T) {
	good := said("tank", "1", "-", "-")
	tests := map[string]string{
		"a line cut off":                good + "tank/a\tguid\t2",
		"lines missing at the end":      good + "tank/a\tguid\t2\t-\n",
		"a property missing":            good + "tank/a\tguid\t2\t-\n" + ended("tank/a"),
		"a property of another dataset": "tank\tguid\t1\t-\ntank/a\tclonefs:identity\t-\t-\n" + ended("tank"),
		"another dataset's end":         "tank\tguid\t1\t-\ntank\tclonefs:identity\t-\t-\n" + ended("tank/a"),
		"properties in the wrong order": "tank\tclonefs:identity\t-\t-\ntank\tguid\t1\t-\n" + ended("tank"),
		"a property that was not asked": "tank\tguid\t1\t-\ntank\torigin\t-\t-\n" + ended("tank"),
		"too few fields":                "tank\tguid\t1\ntank\tclonefs:identity\t-\t-\n" + ended("tank"),
		"too many fields":               "tank\tguid\t1\t\t-\ntank\tclonefs:identity\t-\t-\n" + ended("tank"),
		"no name":                       said("", "1", "-", "-"),
		"no source":                     said("tank", "1", "-", ""),
		"no value":                      "tank\tguid\t1\t-\ntank\tclonefs:identity\t-\n" + ended("tank"),
		"a GUID that is not a number":   said("tank", "-", "-", "-"),
		"a GUID of more than 64 bits":   said("tank", "18446744073709551616", "-", "-"),
		"an empty line":                 "\n" + good,
		"a dataset that is there twice": good + good,
		"a message between":             "warning\n" + good,
		"an end that was guessed":       said("tank", "1", "x\tlocal\n"+ended("tank")+said("tank/a", "2", "-", "-")+"tank\tguid\t1\t-\ntank\tclonefs:identity\tx", "local"),
	}
	for name, out := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseDatasets(out, recordedEnd)
			require.Error(t, err)
		})
	}
}

func TestAnIdentityMayBeAnyText(t *testing.T) {
	for name, identity := range map[string]string{
		"a tab":                       "a\ttab",
		"tabs at both ends":           "\tlocal\t",
		"a newline":                   "two\nlines",
		"newlines at both ends":       "\nlines\n",
		"nothing but a newline":       "\n",
		"another's lines":             "x\tlocal\n" + strings.ReplaceAll(said("tank/b", "3", "stolen", "local"), recordedEnd, "clonefs:end-guessed"),
		"its own lines":               "x\tlocal\n" + strings.ReplaceAll(said("tank/a", "3", "other", "local"), recordedEnd, "clonefs:end-guessed"),
		"what an inherited one is":    "x\tinherited from tank",
		"its own name in a last line": "x\ntank/a",
	} {
		t.Run(name, func(t *testing.T) {
			list, err := parseDatasets(said("tank", "1", "-", "-")+said("tank/a", "2", identity, "local")+said("tank/b", "3", "-", "-"), recordedEnd)
			require.NoError(t, err)
			require.Equal(t, []Dataset{
				{Name: "tank", GUID: 1, Identity: "zfs:1"},
				{Name: "tank/a", GUID: 2, Identity: "name:" + identity},
				{Name: "tank/b", GUID: 3, Identity: "zfs:3"},
			}, list)
		})
	}
}

func TestNothingListedIsNoError(t *testing.T) {
	list, err := parseDatasets("", recordedEnd)
	require.NoError(t, err)
	require.Empty(t, list)
}
