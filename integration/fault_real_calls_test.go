//go:build linux

package integration

import (
	"os"

	"golang.org/x/sys/unix"
)

// callsOnVolume are made on a broken volume by path.
var callsOnVolume = []struct {
	name string
	do   func(dir string) error
}{
	{"stat", func(dir string) error { return statOf(dir + "/disk-0.vdi") }},
	{"stat of what is not there", func(dir string) error { return statOf(dir + "/missing") }},
	{"list", list},
	{"open", func(dir string) error { return openAndClose(dir + "/disk-0.vdi") }},
	{"create", func(dir string) error { return unix.Mknod(dir+"/new", unix.S_IFREG|0o600, 0) }},
	{"mkdir", func(dir string) error { return unix.Mkdir(dir+"/new", 0o700) }},
	{"symlink", func(dir string) error { return unix.Symlink("x", dir+"/new") }},
	{"link", func(dir string) error { return unix.Link(dir+"/disk-0.vdi", dir+"/new") }},
	{"unlink", func(dir string) error { return unix.Unlink(dir + "/disk-0.vdi") }},
	{"rename", func(dir string) error { return unix.Rename(dir+"/disk-0.vdi", dir+"/new") }},
	{"truncate", func(dir string) error { return unix.Truncate(dir+"/disk-0.vdi", 1<<20) }},
	{"chmod", func(dir string) error { return unix.Chmod(dir+"/disk-0.vdi", 0o640) }},
	{"setxattr", func(dir string) error { return unix.Setxattr(dir+"/disk-0.vdi", "user.x", nil, 0) }},
}

// callsOnFile are made on a file that was opened before its volume broke.
var callsOnFile = []struct {
	name string
	do   func(f *os.File) error
}{
	{"write", func(f *os.File) error { _, err := f.WriteAt([]byte("new"), 1<<20); return err }},
	{"write in place", func(f *os.File) error { _, err := f.WriteAt([]byte("new"), recordStart); return err }},
	{"write of a header", func(f *os.File) error { _, err := f.WriteAt(make([]byte, 400), 72); return err }},
	{"read", func(f *os.File) error { _, err := f.ReadAt(make([]byte, 512), 0); return err }},
	{"allocate", func(f *os.File) error { return unix.Fallocate(int(f.Fd()), 0, 1<<20, 1<<20) }},
	{"truncate an open file", func(f *os.File) error { return f.Truncate(recordStart) }},
	{"chmod an open file", func(f *os.File) error { return f.Chmod(0o640) }},
}
