// Package holders finds out which processes keep a mount busy.
//
// Nothing in it touches a file of the mount: the process that asks may be the
// very one that serves it, and a stat(2) on its own mount would wait for itself.
package holders

import (
	"fmt"
	"strings"
)

// A Holder is a process that uses files of a mount.
type Holder struct {
	PID int
	// Command is the name of its program, cut to 15 bytes by Linux.
	Command string
	Uses    []Use
}

// A Use is one way in which a process uses a file.
type Use struct {
	// How is "open file", "working directory", "root directory",
	// "program", or "mapped file".
	How string
	// Path is the file, relative to the mount, "." for its top. It is ""
	// where the system does not say it.
	Path string
}

// shown is how many files of a process are named: it is enough to tell what the
// process is doing there.
const shown = 3

// String describes the process in one line:
//
//	qemu-img (pid 4711): open file job-1/disk.vdi, working directory job-1
func (h Holder) String() string {
	var uses []string
	for _, use := range h.Uses {
		uses = append(uses, strings.TrimSuffix(use.How+" "+use.Path, " "))
	}
	if more := len(uses) - shown; more > 0 {
		uses = append(uses[:shown], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s (pid %d): %s", h.Command, h.PID, strings.Join(uses, ", "))
}

// add notes a use, once.
func (h *Holder) add(how, path string) {
	use := Use{how, path}
	for _, known := range h.Uses {
		if known == use {
			return
		}
	}
	h.Uses = append(h.Uses, use)
}
