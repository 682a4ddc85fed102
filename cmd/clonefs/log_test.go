package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestTheLogOfADaemonHasAPlace(t *testing.T) {
	require.Equal(t, "/var/log/clonefs.log", defaultLog(0, "/state", "/root"))
	require.Equal(t, "/state/clonefs/clonefs.log", defaultLog(1000, "/state", "/home/a"))
	require.Equal(t, "/home/a/.local/state/clonefs/clonefs.log", defaultLog(1000, "", "/home/a"))
	require.Equal(t, "/home/a/.local/state/clonefs/clonefs.log", defaultLog(1000, "not/absolute", "/home/a"))
}

func TestTheLogIsAppendedToAndPrivate(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 {
		config := logConfig{file: "log"}
		require.NoError(t, config.useFile(true))
		require.True(t, filepath.IsAbs(config.file))
		logger, file, err := config.open()
		require.NoError(t, err)
		logger.Info("hello")
		require.NoError(t, file.Close())
	}
	info, err := os.Stat("log")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile("log")
	require.NoError(t, err)
	require.Equal(t, 2, bytes.Count(text, []byte("msg=hello")))
}

func TestLogFlags(t *testing.T) {
	var config logConfig
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.addFlags(flags)
	require.NoError(t, flags.Parse([]string{"--log-level=warn", "--log-format=json"}))

	var output bytes.Buffer
	logger := config.logger(&output)
	logger.Info("too little")
	logger.Warn("careful", slog.String("volume", "job-1"))
	var line map[string]string
	require.NoError(t, json.Unmarshal(output.Bytes(), &line))
	require.Equal(t, "careful", line["msg"])
	require.Equal(t, "job-1", line["volume"])

	require.ErrorContains(t, flags.Parse([]string{"--log-format=xml"}), "text or json")
	require.Error(t, flags.Parse([]string{"--log-level=loud"}))
}

func TestWithoutAFileTheLogIsStandardError(t *testing.T) {
	config := logConfig{}
	require.NoError(t, config.useFile(false))
	_, file, err := config.open()
	require.NoError(t, err)
	require.Equal(t, os.Stderr, file)
}
