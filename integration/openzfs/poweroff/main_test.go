//go:build linux

// Package poweroff_test switches the power of a virtual machine off that serves
// clones on real OpenZFS and is written to, starts it again with the same disk, and
// looks what is left. What was acknowledged is known outside the machine. That takes
// the guest of package guest also where this machine has ZFS itself.
package poweroff_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/clonefs/clonefs/integration/daemon"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(bootVariable) == "" && flag.Lookup("test.skip").Value.String() == "" {
		_ = flag.Set("test.skip", "^"+guestTest+"$") // which is for the machine
	}
	os.Exit(daemon.Main(m))
}

// guestTest is the test that the machine runs, as the only one.
const guestTest = "TestInTheMachine"

// What the machine's test is told by its environment: how many times the machine has
// been started, and whether to write until the power goes off.
const (
	bootVariable = "CLONEFS_TEST_BOOT"
	loadVariable = "CLONEFS_TEST_LOAD"
)

// What the machine has of this one.
const (
	goldenFile = "/srv/golden.vdi"
	poolDevice = "/dev/pool"
)

// A message is a line that the machine writes to this one. It is about a volume.
type message struct {
	Volume  string
	Found   *state // what there is of the last load
	Records int64  // of this load, that have been acknowledged so far
}

// A state is that of a volume's image on the mount.
type state struct {
	UUID         string
	Records      int64 // of the last load, from the first on, that are intact
	Modification byte  // that was written to the header last
}

func (m message) String() string {
	line, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(line) + "\n"
}
