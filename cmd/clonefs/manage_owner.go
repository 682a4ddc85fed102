package main

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// ownershipOf returns owner and mode of a directory.
func ownershipOf(path string) (fs.Ownership, error) {
	var status unix.Stat_t
	if err := unix.Stat(path, &status); err != nil {
		return fs.Ownership{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return fs.Ownership{UID: status.Uid, GID: status.Gid, Mode: uint32(status.Mode) & 0o7777}, nil //nolint:unconvert // it is shorter on FreeBSD
}

// ownerFlag is the value of a flag: USER:GROUP as in chown(1).
type ownerFlag struct {
	text     string
	uid, gid *uint32 // nil for what is not given
}

// Set implements pflag.Value.
func (f *ownerFlag) Set(text string) (err error) {
	name, group, hasGroup := strings.Cut(text, ":")
	owner := ownerFlag{text: text}
	if name != "" {
		if owner.uid, err = id(name, userID); err != nil {
			return fmt.Errorf("no user %q: name one, or write its number", name)
		}
	}
	if hasGroup && group != "" {
		if owner.gid, err = id(group, groupID); err != nil {
			return fmt.Errorf("no group %q: name one, or write its number", group)
		}
	}
	if owner.uid == nil && owner.gid == nil {
		return fmt.Errorf("want USER:GROUP, USER or :GROUP")
	}
	*f = owner
	return nil
}

// String implements pflag.Value.
func (f *ownerFlag) String() string { return f.text }

// Type implements pflag.Value.
func (f *ownerFlag) Type() string { return "user:group" }

func (f *ownerFlag) apply(top *fs.Ownership) {
	if f.uid != nil {
		top.UID = *f.uid
	}
	if f.gid != nil {
		top.GID = *f.gid
	}
}

// id reads a number, or looks up a name. A name of digits goes before a number, as
// POSIX has it for chown(1).
func id(text string, lookUp func(string) (string, error)) (*uint32, error) {
	if found, err := lookUp(text); err == nil {
		text = found
	}
	number, err := strconv.ParseUint(text, 10, 32)
	value := uint32(number)
	return &value, err
}

func userID(name string) (string, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return found.Uid, nil
}

func groupID(name string) (string, error) {
	found, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return found.Gid, nil
}

// modeFlag is the value of a flag: permission bits in octal.
type modeFlag struct {
	text string
	bits uint32
}

// Set implements pflag.Value.
func (f *modeFlag) Set(text string) error {
	bits, err := strconv.ParseUint(text, 8, 32)
	if err != nil || bits > 0o7777 {
		return fmt.Errorf("want octal permission bits: 0775")
	}
	*f = modeFlag{text, uint32(bits)}
	return nil
}

// String implements pflag.Value.
func (f *modeFlag) String() string { return f.text }

// Type implements pflag.Value.
func (f *modeFlag) Type() string { return "mode" }

func (f *modeFlag) apply(top *fs.Ownership) {
	if f.text != "" {
		top.Mode = f.bits
	}
}
