package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

const storedUUID = "9079169b-d4a4-41e5-bb50-fe548c9e7cb0"

// imageHeader is the header of a fixed image of 1 GiB with storedUUID.
func imageHeader(t *testing.T) []byte {
	t.Helper()
	create, err := vdi.ParseUUID(storedUUID)
	require.NoError(t, err)
	header := make([]byte, vdi.HeaderSize)
	binary.LittleEndian.PutUint32(header[64:], vdi.Signature)
	binary.LittleEndian.PutUint32(header[68:], 0x00010001)
	binary.LittleEndian.PutUint32(header[76:], uint32(vdi.Fixed))
	binary.LittleEndian.PutUint64(header[368:], 1<<30)
	copy(header[392:], create[:])
	return header
}

// clones returns a directory source with the files of this name, all images.
func clones(t *testing.T, names ...string) string {
	t.Helper()
	base := tempTree(t)
	for _, name := range names {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(base, name), imageHeader(t), 0o644))
	}
	return base
}

func listed(t *testing.T, base string, serial vdi.GuestSerial) *listing {
	t.Helper()
	list, err := (&listConfig{serial: serial, serialGiven: true, stderr: io.Discard}).list("dir:" + base)
	require.NoError(t, err)
	return list
}

func TestASourceIsListedWithWhatAMountWouldPresent(t *testing.T) {
	base := clones(t, "job-1/disk.vdi", "own.vdi")
	list := listed(t, base, vdi.KeepGuestSerial)
	require.Equal(t, "dir:"+base, list.Source)
	require.Empty(t, list.Errors)
	require.Equal(t, 2, list.volumes)
	require.Len(t, list.Images, 2)

	own, job := list.Images[0], list.Images[1]
	require.Equal(t, "b4d7-491d-b03f-21fb8c9e7cb0", strings.TrimPrefix(own.Presented.String(), "9079169b-"))
	require.Equal(t, listedImage{
		Volume: "job-1", Identity: "dir:job-1", Image: "disk.vdi", Version: "1.1", Type: "fixed", Capacity: 1 << 30,
		Stored: own.Stored, Presented: job.Presented,
	}, job)
	require.Equal(t, storedUUID, job.Stored.String())
	require.Equal(t, "9079169b-0bcc-478b-92d7-ae738c9e7cb0", job.Presented.String())
}

func TestTheGuestSerialCanBeMadeUnique(t *testing.T) {
	list := listed(t, clones(t, "job-1/disk.vdi"), vdi.UniqueGuestSerial)
	require.NotContains(t, list.Images[0].Presented.String(), "9079169b-")
}

func TestEveryImageIsListedOnce(t *testing.T) {
	list := listed(t, clones(t, "own.vdi", "a/disk.vdi", "a/b/c/disk.vdi", "b/disk.vdi"), vdi.KeepGuestSerial)
	var paths []string
	for _, image := range list.Images {
		paths = append(paths, image.path())
	}
	require.Equal(t, []string{"own.vdi", "a/b/c/disk.vdi", "a/disk.vdi", "b/disk.vdi"}, paths)
}

func TestOnlyRegularFilesThatAreImagesAreListed(t *testing.T) {
	base := clones(t, "a/disk.vdi")
	require.NoError(t, os.WriteFile(base+"/a/text.vdi", []byte("no image"), 0o600))
	require.NoError(t, os.WriteFile(base+"/a/empty.vdi", nil, 0o600))
	require.NoError(t, os.Symlink("disk.vdi", base+"/a/link.vdi"))
	require.NoError(t, os.Symlink("..", base+"/a/loop"))
	require.NoError(t, unix.Mkfifo(base+"/a/pipe.vdi", 0o600))
	list := listed(t, base, vdi.KeepGuestSerial)
	require.Len(t, list.Images, 1)
	require.Empty(t, list.Errors)
}

// faultyView cannot read the files of this name.
type faultyView struct {
	sourceView
	name string
}

func (v faultyView) headers(volume fs.Volume, file string) (stored, presented []byte, err error) {
	if file == v.name {
		return nil, nil, &os.PathError{Op: "read", Path: file, Err: unix.EIO}
	}
	return v.sourceView.headers(volume, file)
}

func TestAFileThatCannotBeReadDoesNotEndTheListing(t *testing.T) {
	base := clones(t, "1.vdi", "2.vdi", "3.vdi")
	volumes := []fs.Volume{{Dir: base, Identity: "dir:."}, {Name: "gone", Dir: base + "/gone"}, {Name: "no", Dir: "\x00"}}
	var list listing
	steps := make(chan int, len(volumes))
	list.scan(volumes, faultyView{name: "2.vdi"}, func() { steps <- 1 })
	require.Len(t, steps, 3, "a step for each volume")
	require.Len(t, list.Images, 2)
	require.Len(t, list.Errors, 2, "a volume that has gone is no error")
	require.Contains(t, list.Errors[0], "read 2.vdi: input/output error")
	require.Contains(t, list.Errors[1], "invalid argument")
}

func TestDuplicatesAreMarked(t *testing.T) {
	list := listed(t, clones(t, "a/1.vdi", "a/2.vdi", "b/1.vdi"), vdi.KeepGuestSerial)
	require.True(t, list.Images[0].Duplicate)
	require.True(t, list.Images[1].Duplicate)
	require.False(t, list.Images[2].Duplicate)

	var table bytes.Buffer
	require.NoError(t, list.writeTable(&table))
	lines := strings.Split(strings.TrimRight(table.String(), "\n"), "\n")
	require.Len(t, lines, 8)
	require.Equal(t, "VOLUME  IMAGE  VERSION  TYPE   CAPACITY  STORED UUID                           PRESENTED UUID", lines[0])
	require.True(t, strings.HasPrefix(lines[1], "a       1.vdi  1.1      fixed  1 GiB     9079169b-"), lines[1])
	require.True(t, strings.HasSuffix(lines[2], " !"), lines[2])
	require.False(t, strings.HasSuffix(lines[3], " !"), lines[3])
	require.Contains(t, lines[5], "takes only one of these")
	require.Equal(t, "  a/1.vdi", lines[6])
	require.Equal(t, "  a/2.vdi", lines[7])
}

func TestASourceWithoutImagesSaysSo(t *testing.T) {
	base := tempTree(t, "a", "b")
	var table bytes.Buffer
	require.NoError(t, listed(t, base, vdi.KeepGuestSerial).writeTable(&table))
	require.Equal(t, "no images in dir:"+base+" (3 volumes)\n", table.String())
}

func TestTheJSONFormIsStable(t *testing.T) {
	base := clones(t, "job-1/disk.vdi")
	var output bytes.Buffer
	require.NoError(t, listed(t, base, vdi.KeepGuestSerial).writeJSON(&output))
	require.JSONEq(t, `{
		"source": "dir:`+base+`",
		"images": [{
			"volume": "job-1", "identity": "dir:job-1", "image": "disk.vdi", "version": "1.1", "type": "fixed",
			"capacity": 1073741824, "stored": "`+storedUUID+`",
			"presented": "9079169b-0bcc-478b-92d7-ae738c9e7cb0", "duplicate": false
		}],
		"errors": []
	}`, output.String())
}

func TestListsInJSONAreNeverNull(t *testing.T) {
	var output bytes.Buffer
	require.NoError(t, (&listing{Source: "dir:/x"}).writeJSON(&output))
	var decoded map[string]any
	require.NoError(t, json.Unmarshal(output.Bytes(), &decoded))
	require.Equal(t, []any{}, decoded["images"])
	require.Equal(t, []any{}, decoded["errors"])
}

func TestFormatBytes(t *testing.T) {
	for size, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 4 << 30: "4 GiB", 1 << 63: "8 EiB",
	} {
		require.Equal(t, want, formatBytes(size))
	}
}

func TestNamesThatWouldDisturbTheTerminalAreQuoted(t *testing.T) {
	require.Equal(t, "my disk.vdi", printable("my disk.vdi"))
	require.Equal(t, `"a\x1b[2J"`, printable("a\x1b[2J"))
	require.Equal(t, `"\xff.vdi"`, printable("\xff.vdi"))
}
