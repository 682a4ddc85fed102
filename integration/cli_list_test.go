//go:build linux

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
)

// cliListing is the documented form of ls --json.
type cliListing struct {
	Source     string `json:"source"`
	Mountpoint string `json:"mountpoint"`
	Images     []struct {
		Volume    string `json:"volume"`
		Identity  string `json:"identity"`
		Image     string `json:"image"`
		Version   string `json:"version"`
		Type      string `json:"type"`
		Capacity  uint64 `json:"capacity"`
		Stored    string `json:"stored"`
		Presented string `json:"presented"`
		Duplicate bool   `json:"duplicate"`
	} `json:"images"`
	Errors []string `json:"errors"`
}

func (c *cli) list(args ...string) cliListing {
	c.t.Helper()
	var list cliListing
	require.NoError(c.t, json.Unmarshal([]byte(c.succeed(append([]string{"ls", "--json"}, args...)...)), &list))
	return list
}

func TestCLIListSaysTheSameOfAMountAndItsSource(t *testing.T) {
	for _, serial := range []string{"keep", "unique"} {
		t.Run(serial, func(t *testing.T) {
			c := newCLI(t, "own.vdi", "job-1/disk.vdi", "job-2/disk.vdi", "job-2/deep/down/disk.vdi")
			require.NoError(t, os.Symlink("..", c.path("src/job-1/loop")))
			require.NoError(t, os.Symlink("disk.vdi", c.path("src/job-1/link.vdi")))
			c.mount("--guest-serial", serial)
			ofSource, ofMount := c.list("--guest-serial", serial, "./src"), c.list("./mnt")

			require.Equal(t, "dir:"+c.path("src"), ofMount.Source)
			require.Equal(t, c.path("mnt"), ofMount.Mountpoint)
			require.Empty(t, ofSource.Mountpoint)
			require.Equal(t, ofSource.Images, ofMount.Images)
			require.Len(t, ofMount.Images, 4)
			for _, image := range ofMount.Images {
				require.Equal(t, cliUUID, image.Stored)
				require.Equal(t, c.uuidOf("mnt/"+strings.TrimPrefix(image.Volume, ".")+"/"+image.Image), image.Presented)
				require.NotEqual(t, image.Stored, image.Presented)
				require.Equal(t, image.Volume == "job-2", image.Duplicate, "two images of one volume have one UUID")
				require.EqualValues(t, 1<<30, image.Capacity)
				require.Equal(t, "1.1 dynamic", image.Version+" "+image.Type)
			}
		})
	}
}

func TestCLIListPrintsATable(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi", "job-2/a.vdi", "job-2/b.vdi")
	c.mount()
	for _, target := range []string{"mnt", "./mnt/", c.path("mnt"), "dir:mnt"} {
		lines := strings.Split(c.succeed("ls", target), "\n")
		require.Regexp(t, `^VOLUME +IMAGE +VERSION +TYPE +CAPACITY +STORED UUID +PRESENTED UUID$`, lines[0])
		require.Regexp(t, `^job-1 +disk.vdi +1.1 +dynamic +1 GiB +`+cliUUID+` +9079169b-0bcc-478b-92d7-ae738c9e7cb0$`, lines[1])
		require.Regexp(t, `^job-2 +a.vdi .* !$`, lines[2])
		require.Contains(t, lines[5], "VirtualBox takes only one of these")
	}
}

func TestCLIListOfAThousandImages(t *testing.T) {
	c := newCLI(t)
	for i := range 1000 {
		c.writeImage(fmt.Sprintf("src/job-%04d/disk.vdi", i))
	}
	c.mount()
	list := c.list("mnt")
	require.Len(t, list.Images, 1000)
	presented := map[string]bool{}
	for _, image := range list.Images {
		presented[image.Presented] = true
		require.False(t, image.Duplicate)
	}
	require.Len(t, presented, 1000)
}

func TestCLIListShowsOnATerminalHowFarItIs(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi", "job-2/disk.vdi")
	c.mount()
	requireTool(t, "script")
	terminal, err := exec.Command("script", "-qec", daemon.Binary(t)+" ls "+c.path("mnt"), os.DevNull).CombinedOutput()
	require.NoError(t, err)
	require.Regexp(t, `(?s)listing .*/3.*VOLUME`, string(terminal), "the source's own files are a volume too")
	quiet, err := exec.Command(daemon.Binary(t), "ls", c.path("mnt")).CombinedOutput()
	require.NoError(t, err)
	require.NotContains(t, string(quiet), "listing")
}

func TestCLIListRefusesWithAnAnswer(t *testing.T) {
	c := newCLI(t, "job-1/disk.vdi")
	c.mount()
	c.fail(1, "clonefs ls "+c.path("mnt"), "ls", "./mnt/job-1")
	c.fail(1, "does not exist", "ls", "./missing")
	c.fail(1, "write dir:src", "ls", "src")
	c.fail(2, "a mount has its own", "ls", "--guest-serial=keep", "mnt")
	c.fail(2, "--help", "ls")
}
