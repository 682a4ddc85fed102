//go:build linux

package vbox

import (
	"bytes"
	_ "embed"
	"encoding/binary"
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

// A GuestReport is what the guest told of one boot.
type GuestReport struct {
	Serial string // of the disk, as the guest saw it
	Boots  uint32 // of this disk, this one included
	Mark   uint32 // what it has filled sectors with
}

// ParseGuestReport reads what the guest wrote to its serial port. It returns an
// error if the guest did not tell everything, up to its being done.
func ParseGuestReport(lines []string) (report GuestReport, err error) {
	if len(lines) != 3 || lines[2] != "done" {
		return report, fmt.Errorf("the guest did not finish: it said %q", lines)
	}
	_, err = fmt.Sscanf(lines[0]+"\n"+lines[1], "serial %s\nboot %x mark %x", &report.Serial, &report.Boots, &report.Mark)
	if err != nil {
		return report, fmt.Errorf("the guest said %q: %w", lines, err)
	}
	return report, nil
}

// Filled returns what the guest fills with a mark.
func Filled(mark uint32) []byte {
	return bytes.Repeat(binary.LittleEndian.AppendUint32(nil, mark), FilledCount*512/4)
}
