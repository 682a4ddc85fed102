package fs

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/vdi"
)

// A listSource is a source that is a list.
type listSource []Volume

func (s listSource) Volumes() []Volume                 { return s }
func (listSource) Leads(string) bool                   { return false }
func (listSource) Hides(string) bool                   { return false }
func (listSource) Watch(context.Context, func()) error { return nil }

func (s listSource) Volume(name string) (Volume, bool) {
	for _, v := range s {
		if v.Name == name {
			return v, true
		}
	}
	return Volume{}, false
}

func TestTheLogTellsOnceOfTwoVolumesWithOneIdentity(t *testing.T) {
	var log bytes.Buffer
	source := &listSource{
		{Name: "a", Identity: "name:x"}, {Name: "b", Identity: "name:x"}, {Name: "c", Identity: "zfs:1"},
		{Name: "o", Identity: vdi.Original}, {Name: "p", Identity: vdi.Original},
	}
	m := newMirror(source, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	m.fill()
	require.Equal(t, 1, strings.Count(log.String(), "WARN"), log.String())
	require.Contains(t, log.String(), "identity=name:x")
	for _, place := range []string{"a", "b", "c", "o", "p", "none"} {
		m.warnOfTwin(place)
	}
	require.Equal(t, 1, strings.Count(log.String(), "WARN"), log.String())

	*source = append(*source, Volume{Name: "", Identity: "zfs:1"})
	m.tree.replace(*source)
	m.warnOfTwin("")
	require.Equal(t, 2, strings.Count(log.String(), "WARN"), log.String())
	require.Contains(t, log.String(), "volume=. other=c")
}

func TestAVolumeThatIsKnownByItsOldNameIsNoTwinOfItself(t *testing.T) {
	var log bytes.Buffer
	source := &listSource{{Name: "old", Identity: "zfs:1"}}
	m := newMirror(source, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	m.fill()
	*source = listSource{{Name: "new", Identity: "zfs:1"}}
	m.tree.put((*source)[0])
	m.warnOfTwin("new")
	require.Empty(t, log.String())
}
