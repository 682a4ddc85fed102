package holders

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

// patience bounds fstat(1), which asks the file system about its root.
const patience = 5 * time.Second

// Of returns the processes that use files of the mount m, by fstat(1).
func Of(m mounts.Mount) ([]Holder, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	output, err := exec.CommandContext(ctx, "fstat", "-f", m.Dir).Output()
	if err != nil {
		return nil, fmt.Errorf("run fstat -f %s: %w", m.Dir, err)
	}
	return parse(string(output)), nil
}

var how = map[string]string{
	"wd": "working directory", "root": "root directory", "text": "program", "mmap": "mapped file",
}

// parse reads lines like this one, after a heading:
//
//	USER     CMD          PID   FD MOUNT      INUM MODE         SZ|DV R/W
//	root     sh         81229   wd /mnt/vm       4 drwxr-xr-x       4  r
func parse(output string) []Holder {
	var found []Holder
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		pid, err := strconv.Atoi(fields[2])
		if err != nil {
			continue
		}
		if len(found) == 0 || found[len(found)-1].PID != pid {
			found = append(found, Holder{PID: pid, Command: fields[1]})
		}
		use := how[fields[3]]
		if use == "" {
			use = "open file"
		}
		found[len(found)-1].add(use, "")
	}
	return found
}
