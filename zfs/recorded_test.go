package zfs

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recordings are what testdata/record.sh wrote on machines with OpenZFS.
var recordings = []string{"testdata/openzfs-2.1.11.txt"}

// source is the dataset that the recordings are of.
const source = "tank/vm images"

// section returns the recorded output of a command.
func section(t *testing.T, recording string, command ...string) string {
	t.Helper()
	text, err := os.ReadFile(recording)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n-- "+strings.Join(command, " ")+" --\n")
	require.True(t, found, "%s has no section %q", recording, command)
	body, _, more := strings.Cut("\n"+rest, "\n-- ")
	if more {
		body += "\n"
	}
	return body[1:]
}

// recordedEnd is the end property of the recordings.
const recordedEnd = "clonefs:end-recorded"

// recordedList returns the recorded output of a listing of file systems.
func recordedList(t *testing.T, recording string, more ...string) string {
	t.Helper()
	return section(t, recording, listCommand("filesystem", more...)...)
}

// listCommand is a recorded listing's command.
func listCommand(datasetType string, more ...string) []string {
	return append([]string{"zfs"}, listArguments(recordedEnd, datasetType, more...)...)
}

// eachRecording runs a test on every recording.
func eachRecording(t *testing.T, test func(t *testing.T, recording string)) {
	for _, recording := range recordings {
		t.Run(strings.TrimPrefix(recording, "testdata/"), func(t *testing.T) { test(t, recording) })
	}
}
