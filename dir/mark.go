package dir

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ownMark is the extended attribute of a clone's directory that holds the path
// of its template, where the clone was not made by root. An attribute goes where
// the clone goes, costs no second file to keep in step, and is not among the
// files that the mount shows.
//
// Users may set it on what is theirs to write to. So root goes by
// privilegedMark alone, which only root can set: nobody gets a root daemon to
// destroy what is not a clone.
const ownMark = "user.clonefs.template"

// setMark records what a clone was made from. Where there are no extended
// attributes, it does nothing, and a Manager does not destroy the clone.
func setMark(clone *os.File, template string) error {
	err := setxattr(fd(clone), markName(clone), []byte(template), 0)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("record the template of %s: %w", clone.Name(), err)
	}
	return nil
}

// readMark returns the path that was recorded, "" if there is none.
func readMark(volume *os.File) (string, error) {
	template, err := readXattr(volume, markName(volume))
	if errors.Is(err, errNoXattr) || errors.Is(err, unix.EOPNOTSUPP) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read which template %s was made from: %w", volume.Name(), err)
	}
	return string(template), nil
}

// markName returns the attribute that this process goes by. Being root is not
// enough to set a privileged one: root of a user namespace cannot. Removing one
// that does not exist tells, and changes nothing.
func markName(volume *os.File) string {
	err := removexattr(fd(volume), privilegedMark+".probe")
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
		return ownMark
	}
	return privilegedMark
}

// IsClone says whether the directory at path is marked as a clone, by root or by
// a user. It keeps people from mistakes; it is a Manager that keeps them from
// lies.
func IsClone(path string) bool {
	for _, name := range []string{ownMark, privilegedMark} {
		if size, err := unix.Lgetxattr(path, name, nil); err == nil && size > 0 {
			return true
		}
	}
	return false
}
