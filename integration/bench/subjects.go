//go:build linux

package main

import "slices"

// Names of subjects, which are columns of the document too.
const (
	raw      = "raw"
	clonefs  = "clonefs"
	nativeIO = "native-io"
	bindfs   = "bindfs"
	loopback = "loopback"
	xmount   = "xmount"
)

// A subject is a way to the files of a backing.
type subject struct {
	name string
	// command mounts source; nil for the files themselves.
	command func(t tools, source, mountpoint string) []string
	// oneFile is for a mount that shows a single file, and only to be read.
	oneFile bool
}

// subjects stand in the order in which they are measured and written.
var subjects = []subject{
	{name: raw},
	{name: clonefs, command: func(t tools, source, mountpoint string) []string {
		return []string{t.clonefs, "mount", "--foreground", source, mountpoint}
	}},
	// Native I/O is for one program: fio here. Rows of other programs leave it out.
	{name: nativeIO, command: func(t tools, source, mountpoint string) []string {
		return []string{t.clonefs, "mount", "--foreground", "--native-io=" + t.fio, source, mountpoint}
	}},
	{name: bindfs, command: func(_ tools, source, mountpoint string) []string {
		return []string{"bindfs", "-f", source, mountpoint}
	}},
	// It has the kernel pass reads and writes through where root mounts it.
	{name: loopback, command: func(t tools, source, mountpoint string) []string {
		return []string{t.loopback, "-q", mountpoint, source}
	}},
	// It takes the whole image for the content of a disk, around which it makes
	// another VDI: what is read is about the same.
	{name: xmount, oneFile: true, command: func(_ tools, source, mountpoint string) []string {
		return []string{"xmount", "--in", "raw", source, "--out", "vdi", mountpoint}
	}},
}

func subjectNames() []string {
	names := make([]string, 0, len(subjects))
	for _, s := range subjects {
		names = append(names, s.name)
	}
	return names
}

// takers says who takes part in a row.
type takers []string

var (
	mirrors    = takers{raw, clonefs, bindfs, loopback}
	fioReaders = takers{raw, clonefs, nativeIO, bindfs, loopback, xmount}
	fioWriters = takers{raw, clonefs, nativeIO, bindfs, loopback}
	readers    = takers{raw, clonefs, bindfs, loopback, xmount}
)

func (t takers) include(name string) bool { return slices.Contains(t, name) }
