package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const unitDirectory = "../../systemd"

// unitSettings reads the settings of a unit or an environment file: values by
// name, several where it is repeated.
func unitSettings(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(unitDirectory, name))
	require.NoError(t, err)
	settings := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return settings
}

// expandCommand does to a command line of a unit what systemd does to it with the
// variables of an environment file; see "COMMAND LINES" in systemd.service(5).
func expandCommand(line string, environment map[string][]string) (words []string) {
	for word := range strings.FieldsSeq(line) {
		name, isVariable := strings.CutPrefix(word, "$")
		inBraces := strings.HasPrefix(name, "{")
		value := strings.Join(environment[strings.Trim(name, "{}")], "")
		switch {
		case !isVariable:
			words = append(words, word)
		case inBraces:
			words = append(words, value)
		default:
			words = append(words, strings.Fields(value)...)
		}
	}
	return words
}

func TestTheSystemdUnitCallsTheProgramAsItIsToBeCalled(t *testing.T) {
	unit, example := unitSettings(t, "clonefs@.service"), unitSettings(t, "example.conf")
	for setting, command := range map[string]string{"ExecStart": "mount"} {
		require.Len(t, unit[setting], 1)
		words := expandCommand(unit[setting][0], example)
		require.Equal(t, "/usr/local/bin/clonefs", words[0], "where make install puts it")

		found, args, err := newRootCommand(new(bool)).Find(words[1:])
		require.NoError(t, err)
		require.Equal(t, command, found.Name())
		require.NoError(t, found.ParseFlags(args), words)
		require.NoError(t, found.ValidateArgs(found.Flags().Args()), words)
		if command == "mount" {
			require.Equal(t, "true", found.Flag("foreground").Value.String())
			_, err := parseSource(found.Flags().Arg(0))
			require.NoError(t, err)
		}
	}
}

func TestTheSystemdUnitLeavesTheCapabilitiesThatTheProgramKeeps(t *testing.T) {
	numbers := map[string]int{
		"CAP_CHOWN": unix.CAP_CHOWN, "CAP_DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE, "CAP_FOWNER": unix.CAP_FOWNER,
		"CAP_FSETID": unix.CAP_FSETID, "CAP_LEASE": unix.CAP_LEASE, "CAP_MKNOD": unix.CAP_MKNOD, "CAP_SETFCAP": unix.CAP_SETFCAP,
		"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE,
	}
	var named []int
	for _, name := range strings.Fields(strings.Join(unitSettings(t, "clonefs@.service")["CapabilityBoundingSet"], " ")) {
		require.Contains(t, numbers, name)
		named = append(named, numbers[name])
	}
	require.ElementsMatch(t, keptCapabilities, named)
}

// With a mount namespace of its own the service's mount would be seen by nobody
// else; systemd.exec(5) says of these that they imply one.
func TestTheSystemdUnitGivesTheMountNoNamespaceOfItsOwn(t *testing.T) {
	unit := unitSettings(t, "clonefs@.service")
	for _, setting := range []string{
		"PrivateTmp", "PrivateDevices", "PrivateMounts", "PrivateIPC", "PrivatePIDs", "PrivateUsers", "DynamicUser",
		"ProtectSystem", "ProtectHome", "ProtectProc", "ProcSubset", "ProtectControlGroups",
		"ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "MountAPIVFS", "MountFlags",
		"ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "TemporaryFileSystem",
		"BindPaths", "BindReadOnlyPaths", "RootDirectory", "RootImage", "LogNamespace", "RestrictSUIDSGID",
	} {
		require.NotContains(t, unit, setting)
	}
}

func TestReadinessIsToldToTheServiceManager(t *testing.T) {
	for name, address := range map[string]string{
		"on a socket in the file system": filepath.Join(t.TempDir(), "socket"),
		"on an abstract socket":          "@clonefs-test-" + filepath.Base(t.TempDir()) + "-" + filepath.Base(filepath.Dir(t.TempDir())),
	} {
		t.Run(name, func(t *testing.T) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			t.Cleanup(func() { unix.Close(fd) })
			require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: address}))
			t.Setenv(notifyVariable, address)
			manager := underSystemd()
			require.NoError(t, manager.ready())

			told := make([]byte, 100)
			n, err := unix.Read(fd, told)
			require.NoError(t, err)
			require.True(t, bytes.Equal([]byte("READY=1"), told[:n]), "%q", told[:max(n, 0)])
			require.NotContains(t, os.Environ(), notifyVariable+"="+address, "what is started from here does not tell")
			require.Nil(t, underSystemd())
		})
	}
	t.Run("nowhere", func(t *testing.T) {
		t.Setenv(notifyVariable, filepath.Join(t.TempDir(), "missing"))
		require.ErrorContains(t, underSystemd().ready(), "missing")
	})
}
