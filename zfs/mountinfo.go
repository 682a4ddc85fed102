package zfs

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// parseMountinfo reads the text of /proc/PID/mountinfo; see proc_pid_mountinfo(5).
func parseMountinfo(text string) ([]mount, error) {
	var table []mount
	for line := range strings.Lines(text) {
		m, err := parseMountinfoLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("mountinfo line %q: %w", line, err)
		}
		table = append(table, m)
	}
	return table, nil
}

// parseMountinfoLine reads one line:
//
//	36 35 98:0 /root /point rw,noatime master:1 - type source rw,options
//
// Between the sixth field and the dash are none or more. Older OpenZFS left
// spaces in the source as they are, so it is what lies between the first and the
// last word after the dash.
func parseMountinfoLine(line string) (mount, error) {
	before, after, ok := strings.Cut(line, " - ")
	fields := strings.Split(before, " ")
	tail := strings.Split(after, " ")
	if !ok || len(fields) < 6 || len(tail) < 3 {
		return mount{}, fmt.Errorf("too few fields")
	}
	m := mount{
		root:   unescapeOctal(fields[3]),
		point:  unescapeOctal(fields[4]),
		fsType: tail[0],
		source: unescapeOctal(strings.Join(tail[1:len(tail)-1], " ")),
		// One mount can be read-only, and the file system with all its mounts.
		readOnly: hasOption(fields[5], "ro") || hasOption(tail[len(tail)-1], "ro"),
	}
	var err error
	if m.id, err = strconv.Atoi(fields[0]); err != nil {
		return mount{}, fmt.Errorf("mount ID: %w", err)
	}
	if m.parent, err = strconv.Atoi(fields[1]); err != nil {
		return mount{}, fmt.Errorf("parent's mount ID: %w", err)
	}
	if m.device, err = parseDevice(fields[2]); err != nil {
		return mount{}, fmt.Errorf("device: %w", err)
	}
	return m, nil
}

// parseDevice reads a device number, major:minor.
func parseDevice(text string) (uint64, error) {
	major, minor, _ := strings.Cut(text, ":")
	high, err := strconv.ParseUint(major, 10, 32)
	if err != nil {
		return 0, err
	}
	low, err := strconv.ParseUint(minor, 10, 32)
	if err != nil {
		return 0, err
	}
	return unix.Mkdev(uint32(high), uint32(low)), nil
}

func hasOption(options, option string) bool {
	for have := range strings.SplitSeq(options, ",") {
		if have == option {
			return true
		}
	}
	return false
}

// unescapeOctal takes back what the kernel does to white space and backslashes:
// \040 is a space.
func unescapeOctal(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+4 <= len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				plain.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		plain.WriteByte(text[i])
	}
	return plain.String()
}
