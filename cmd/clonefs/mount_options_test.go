package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpandOptions(t *testing.T) {
	for name, c := range map[string]struct {
		options string
		want    []setting
	}{
		"nothing":                                {"", nil},
		"empty options are passed over":          {",,", nil},
		"a switch":                               {"allow_other", []setting{{"allow-other", "true"}}},
		"a switch with hyphens":                  {"allow-other", []setting{{"allow-other", "true"}}},
		"a switch with a value":                  {"nonempty=false", []setting{{"nonempty", "false"}}},
		"values, in order":                       {"guest_serial=unique,log_level=debug", []setting{{"guest-serial", "unique"}, {"log-level", "debug"}}},
		"a value with an equals sign":            {"log_file=/a=b", []setting{{"log-file", "/a=b"}}},
		"a value with a comma and a backslash":   {`log_file=/a\,b\\c,log_format=json`, []setting{{"log-file", `/a,b\c`}, {"log-format", "json"}}},
		"programs with a comma and a backslash":  {`native_io=VBoxHeadless\,VirtualBoxVM`, []setting{{"native-io", "VBoxHeadless,VirtualBoxVM"}}},
		"read-only as mount(8) says it":          {"ro", []setting{{"read-only", "true"}}},
		"the last of ro and rw wins":             {"ro,rw", []setting{{"read-only", "true"}, {"read-only", "false"}}},
		"programs may not be run":                {"noexec", []setting{{"noexec", "true"}}},
		"exec takes noexec back":                 {"noexec,exec", []setting{{"noexec", "true"}, {"noexec", "false"}}},
		"what mount(8) and fstab keep to itself": {"defaults,auto,noauto,nofail,_netdev,user=alice,users,x-systemd.automount,X-mount.mkdir,comment=hello,nodev,nosuid,dev,suid,relatime", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := expandOptions(c.options, false)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestExpandOptionsNamesWhatItRefuses(t *testing.T) {
	for options, want := range map[string]string{
		"ro,allow_root":  `unknown option "allow_root"`,
		"ro=1":           `unknown option "ro"`,
		"log_file":       "option log_file needs a value",
		"remount,ro":     "unmount it and mount it anew",
		"foreground":     `unknown option "foreground"`,
		"guest_serial":   "guest_serial=VALUE",
		"noexec,sync,rw": `unknown option "sync"`,
	} {
		_, err := expandOptions(options, false)
		require.ErrorContains(t, err, want, options)
	}
}

func TestSloppyPassesOverUnknownOptions(t *testing.T) {
	got, err := expandOptions("ro,sync,allow_other", true)
	require.NoError(t, err)
	require.Equal(t, []setting{{"read-only", "true"}, {"allow-other", "true"}}, got)
}

func TestEveryOptionIsAFlagOfMount(t *testing.T) {
	flags := newMountCommand().Flags()
	for name := range optionFlags {
		require.NotNil(t, flags.Lookup(name), name)
	}
}
