package fs

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// inGroup tells whether a client is in a group. A request names the client's
// first group only, so this reads what /proc says of the process; if that
// cannot be read, it is not.
func inGroup(caller *fuse.Caller, gid uint32) bool {
	return caller.Gid == gid || slices.Contains(otherGroups(caller.Pid), strconv.FormatUint(uint64(gid), 10))
}

func otherGroups(pid uint32) []string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // it was only read
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if groups, ok := strings.CutPrefix(lines.Text(), "Groups:"); ok {
			return strings.Fields(groups)
		}
	}
	return nil
}
