//go:build linux

package vbox

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// What guest.S writes to its disk.
const (
	RecordSector = 2    // text, boots so far, last mark
	FilledStep   = 2048 // boot n fills FilledCount sectors at n times this one
	FilledCount  = 64
	RecordText   = "CLONEFSGUEST"
)

//go:embed guest.S
var guestSource []byte

// WriteGuestDisk writes a raw disk of this many bytes that boots the guest that
// guest.S describes.
func WriteGuestDisk(path string, size int64) error {
	source, object := path+".S", path+".o"
	defer os.Remove(source)
	defer os.Remove(object)
	if err := os.WriteFile(source, guestSource, 0o600); err != nil {
		return err
	}
	// The BIOS loads a boot sector at 0x7c00 and starts it in 16-bit mode.
	for _, step := range [][]string{
		{"as", "--32", "-o", object, source},
		{"ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", path, object},
	} {
		if out, err := exec.Command(step[0], step[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s of %s: %w: %s", step[0], filepath.Base(source), err, out)
		}
	}
	return os.Truncate(path, size)
}
