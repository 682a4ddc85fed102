package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
)

const systemLog = "/var/log/clonefs.log"

// logConfig says where the log goes and what is in it.
type logConfig struct {
	level  slog.Level
	format logFormat
	// file is the path of the log, "" for standard error.
	file string
}

// logFormat is the value of a flag.
type logFormat string

const (
	textFormat logFormat = "text"
	jsonFormat logFormat = "json"
)

// Set implements pflag.Value.
func (f *logFormat) Set(text string) error {
	if *f = logFormat(text); *f != textFormat && *f != jsonFormat {
		return fmt.Errorf("want text or json")
	}
	return nil
}

// String implements pflag.Value.
func (f *logFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *logFormat) Type() string { return "text|json" }

func (c *logConfig) addFlags(flags *pflag.FlagSet) {
	c.format = textFormat
	flags.TextVar(&c.level, "log-level", slog.LevelInfo, "least `level` that is logged: debug (every request), info, warn, error")
	flags.Var(&c.format, "log-format", "how the log is written")
	flags.StringVar(&c.file, "log-file", "", "append the log to this `file`")
}

// useFile makes the log's path absolute, since a daemon leaves the directory
// that it was started in, and chooses one if there is none.
func (c *logConfig) useFile(choose bool) error {
	if c.file == "" && choose {
		c.file = defaultLog(os.Geteuid(), os.Getenv("XDG_STATE_HOME"), os.Getenv("HOME"))
		if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
			return fmt.Errorf("make the directory of the log (choose another with --log-file): %w", err)
		}
	}
	if c.file == "" {
		return nil
	}
	absolute, err := filepath.Abs(c.file)
	c.file = absolute
	return err
}

// defaultLog returns where the log of a daemon goes; see the XDG base directory
// specification.
func defaultLog(uid int, stateHome, home string) string {
	if uid == 0 {
		return systemLog
	}
	if !filepath.IsAbs(stateHome) {
		stateHome = filepath.Join(home, ".local/state")
	}
	return filepath.Join(stateHome, "clonefs/clonefs.log")
}

// open opens the log. The file may be told to others only by its owner: paths
// of other people's files can be in it.
func (c *logConfig) open() (*slog.Logger, *os.File, error) {
	if c.file == "" {
		return c.logger(os.Stderr), os.Stderr, nil
	}
	file, err := os.OpenFile(c.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log (choose another with --log-file): %w", err)
	}
	return c.logger(file), file, nil
}

func (c *logConfig) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.level}
	if c.format == jsonFormat {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
