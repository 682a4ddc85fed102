//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machineFacts tells on what and with what is measured.
func machineFacts(ctx context.Context, opts options, t tools) ([]fact, error) {
	total, err := memoryLine("MemTotal:")
	if err != nil {
		return nil, err
	}
	facts := []fact{
		{"date", time.Now().Format(time.DateOnly)},
		{"command", strings.Join(append([]string{"bench"}, opts.args...), " ")},
		{"rounds", fmt.Sprintf("%d, on a disk, on Btrfs and of the scale %d; of %v each where fio measures", opts.rounds, fewer(opts.rounds), opts.runtime)},
		{"image", fmt.Sprintf("%d MiB, half of it for cp and qemu-img", opts.size/mib)},
		{"processor", fmt.Sprintf("%s, %d cores", processor(), runtime.NumCPU())},
		{"memory", fmt.Sprintf("%d MiB", total/mib)},
		{"kernel", kernel()},
	}
	if opts.disk != "" {
		facts = append(facts, fact{"disk", said(ctx, "df", "--output=fstype,source", opts.disk)})
	}
	return append(facts, versions(ctx, t)...), nil
}

func versions(ctx context.Context, t tools) []fact {
	return []fact{
		{"clonefs", said(ctx, t.clonefs, "version")},
		{"source", said(ctx, "git", "describe", "--always", "--dirty", "--tags")},
		{"go", said(ctx, "go", "version")},
		{"go-fuse", said(ctx, "go", "list", "-m", "-f", "{{.Version}}", goFuse)},
		{"fio", said(ctx, t.fio, "--version")},
		{"bindfs", said(ctx, "bindfs", "--version")},
		{"xmount", said(ctx, "dpkg-query", "-W", "-f", "${Version}", "xmount")},
	}
}

// said is the last line of what a program says. A version that cannot be told
// ends no measurement.
func said(ctx context.Context, argv ...string) string {
	out, err := command(ctx, argv...)
	if err != nil {
		return "unknown"
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(strings.Fields(lines[len(lines)-1]), " ")
}

func processor() string {
	content, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for row := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(row, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

// memoryLine is what /proc/meminfo says, in bytes.
func memoryLine(name string) (int64, error) {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return kibibytes(string(content), name)
}
