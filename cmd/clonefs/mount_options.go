package main

import (
	"fmt"
	"slices"
	"strings"
)

// A setting is a flag with its value.
type setting struct{ flag, value string }

// optionFlags are the flags of the command mount that -o knows too, and whether
// they need a value.
var optionFlags = map[string]bool{
	"allow-other":  false,
	"read-only":    false,
	"snapshots":    false,
	"nonempty":     false,
	"noexec":       false,
	"guest-serial": true,
	"native-io":    true,
	"manage":       false,
	"template":     true,
	"copy":         false,
	"top-owner":    true,
	"top-mode":     true,
	"log-level":    true,
	"log-format":   true,
	"log-file":     true,
}

// optionAliases are the names that mount(8) has for flags of ours.
var optionAliases = map[string]setting{
	"ro":   {"read-only", "true"},
	"rw":   {"read-only", "false"},
	"exec": {"noexec", "false"},
}

// ignoredOptions are those of mount(8) and fstab(5) that are not for the file
// system, or that ask for what holds anyway: a mount of clonefs checks
// permissions, and honours neither devices nor setuid bits.
var ignoredOptions = []string{
	"defaults", "auto", "noauto", "nofail", "_netdev", "comment",
	"user", "nouser", "users", "group", "owner",
	"dev", "nodev", "suid", "nosuid", "default_permissions",
	"async", "atime", "noatime", "relatime", "norelatime", "strictatime", "diratime", "nodiratime",
}

// expandOptions translates the value of -o, "allow_other,guest_serial=unique",
// into flags of the command mount, in its order. Names may be written with
// underscores; a comma in a value is written as a backslash and a comma. An
// option that nobody knows is an error, unless sloppy says to pass over it.
func expandOptions(options string, sloppy bool) ([]setting, error) {
	var settings []setting
	for _, option := range splitOptions(options) {
		name, value, hasValue := strings.Cut(option, "=")
		if isIgnoredOption(name) {
			continue
		}
		expanded, err := expandOption(name, value, hasValue)
		switch {
		case err == nil:
			settings = append(settings, expanded)
		case !sloppy:
			return nil, err
		}
	}
	return settings, nil
}

func expandOption(name, value string, hasValue bool) (setting, error) {
	if alias, ok := optionAliases[name]; ok && !hasValue {
		return alias, nil
	}
	if name == "remount" {
		return setting{}, fmt.Errorf("option remount: clonefs cannot change a mount; unmount it and mount it anew")
	}
	flag := strings.ReplaceAll(name, "_", "-")
	needsValue, known := optionFlags[flag]
	switch {
	case !known:
		return setting{}, fmt.Errorf("unknown option %q after -o", name)
	case needsValue && !hasValue:
		return setting{}, fmt.Errorf("option %s needs a value: %s=VALUE", name, name)
	case !hasValue:
		value = "true"
	}
	return setting{flag, value}, nil
}

func isIgnoredOption(name string) bool {
	return slices.Contains(ignoredOptions, name) ||
		strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "X-")
}

// splitOptions splits at commas. A backslash takes the meaning from the
// character after it, as in libfuse.
func splitOptions(options string) []string {
	split := []string{""}
	escaped := false
	for _, r := range options {
		switch {
		case r == '\\' && !escaped:
			escaped = true
			continue
		case r == ',' && !escaped:
			split = append(split, "")
		default:
			split[len(split)-1] += string(r)
		}
		escaped = false
	}
	return slices.DeleteFunc(split, func(option string) bool { return option == "" })
}
