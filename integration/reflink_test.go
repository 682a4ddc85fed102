//go:build linux

package integration

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/dir"
	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/integration/daemon"
)

// reflinkDiskSize is the size of the template's disk in bytes.
const reflinkDiskSize = 8 << 20

// A backing is a file system made on a sparse file; tmpfs needs none.
type backing struct {
	name string
	mkfs []string
}

var (
	onBtrfs      = backing{"btrfs", []string{"mkfs.btrfs", "--quiet"}}
	onXFS        = backing{"xfs", []string{"mkfs.xfs", "-q", "-m", "reflink=1"}}
	withReflinks = []backing{onBtrfs, onXFS}

	withoutReflinks = []backing{
		{"ext4", []string{"mkfs.ext4", "-q"}},
		{"xfs without reflinks", []string{"mkfs.xfs", "-q", "-m", "reflink=0"}},
		{"tmpfs", nil},
	}
)

// A reflinked is a directory source on a file system of its own, which holds a
// template, and a mount of it where clients make clones.
type reflinked struct {
	source, mountpoint string
	volumes            *dir.Source
	manager            *dir.Manager
}

// inMountNamespace runs the calling test in a process with a mount namespace of
// its own, and returns true there. However that process ends, its mounts end
// with it, and with the mounts the loop devices.
func inMountNamespace(t *testing.T) bool {
	t.Helper()
	const variable = "CLONEFS_TEST_NAMESPACE"
	if os.Getenv(variable) != "" {
		return true
	}
	requireRoot(t)
	requireTool(t, "mkfs.btrfs", "mkfs.xfs", "mkfs.ext4", "filefrag", "tar")
	// The death signal comes when the starting thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	again := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.parallel=8")
	again.Env = append(os.Environ(), variable+"=1", "CLONEFS_BINARY="+daemon.Binary(t)) // built once
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := again.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "ms a clone") {
			t.Log(strings.TrimSpace(line))
		}
	}
	return false
}

// newReflinked makes the file system, the template "golden", and the mount.
func newReflinked(t *testing.T, on backing, options dir.CloneOptions, top *fs.Ownership) *reflinked {
	t.Helper()
	base := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(base), 0o755)) // some tests change the user
	r := &reflinked{source: base + "/source", mountpoint: base + "/mount"}
	require.NoError(t, os.Mkdir(r.source, 0o755))
	require.NoError(t, os.Mkdir(r.mountpoint, 0o755))
	mountBacking(t, on, base+"/device", r.source)
	if on.name == "btrfs" {
		sh(t, "btrfs", "subvolume", "create", r.source+"/golden")
	} else {
		require.NoError(t, os.Mkdir(r.source+"/golden", 0o755))
	}
	r.fillTemplate(t)

	source, err := dir.New(r.source, testLogger(t))
	require.NoError(t, err)
	r.volumes = source
	r.manager, err = dir.NewManager(source, "golden", options)
	require.NoError(t, err)
	server, err := fs.Mount(r.mountpoint, source, fs.Options{Manager: r.manager, Top: top, AllowOther: true, Logger: testLogger(t)})
	require.NoError(t, err)
	t.Cleanup(func() { unmount(t, r.mountpoint, server) })
	return r
}

func mountBacking(t *testing.T, on backing, device, at string) {
	t.Helper()
	if on.mkfs == nil {
		sh(t, "mount", "-t", "tmpfs", "none", at)
	} else {
		require.NoError(t, os.WriteFile(device, nil, 0o600))
		require.NoError(t, os.Truncate(device, 512<<20))
		sh(t, on.mkfs[0], append(on.mkfs[1:], device)...)
		sh(t, "mount", "-o", "loop", device, at)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(at, 0)) })
}

// sh runs a command, which must succeed, and returns what it says.
func sh(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
	return out
}

// fillTemplate makes an image and what a reflink alone does not bring along.
func (r *reflinked) fillTemplate(t *testing.T) {
	t.Helper()
	golden := r.source + "/golden"
	content := make([]byte, reflinkDiskSize)
	_, err := rand.Read(content)
	require.NoError(t, err)
	copy(content, realHeader(t))
	require.NoError(t, os.WriteFile(golden+"/disk.vdi", content, 0o644))
	require.NoError(t, os.Mkdir(golden+"/snapshots", 0o750))
	require.NoError(t, os.Link(golden+"/disk.vdi", golden+"/snapshots/second name.vdi"))
	require.NoError(t, os.Symlink("disk.vdi", golden+"/link"))
	require.NoError(t, os.WriteFile(golden+"/sparse", []byte("some data"), 0o400))
	require.NoError(t, os.Truncate(golden+"/sparse", 4<<20))
	require.NoError(t, os.Chown(golden+"/sparse", member, staff))
	require.NoError(t, unix.Setxattr(golden+"/snapshots", aclDefault, simple(7, 5, 5, 7, 7, 0).encode(), 0))
	if len(r.xattrs()) > 0 {
		require.NoError(t, unix.Setxattr(golden+"/disk.vdi", "user.test", []byte("value"), 0))
	}
	r.sync(t)
}

// sync brings what is written to the source to its file system, and to no other.
func (r *reflinked) sync(t *testing.T) {
	t.Helper()
	top, err := os.Open(r.source)
	require.NoError(t, err)
	defer top.Close()
	require.NoError(t, unix.Syncfs(int(top.Fd())))
}

// xattrs are tar's options for extended attributes, where there are any: those
// of users came to tmpfs with Linux 6.6.
func (r *reflinked) xattrs() []string {
	if unix.Setxattr(r.source, "user.test", nil, 0) != nil {
		return nil
	}
	return []string{"--xattrs", "--xattrs-include=*", "--xattrs-exclude=trusted.clonefs.template"}
}

// requireClone requires that a volume is what the template is.
func (r *reflinked) requireClone(t *testing.T, name string) {
	t.Helper()
	archive := func(name string) []byte {
		return sh(t, "tar", append([]string{"--create", "--sort=name", "--numeric-owner", "--format=posix",
			"--pax-option=delete=atime,delete=ctime,exthdr.name=%f", "--directory", filepath.Join(r.source, name), "."}, r.xattrs()...)...)
	}
	require.True(t, bytes.Equal(archive("golden"), archive(name)), "tar sees a difference between the template and %s", name)
	var s unix.Stat_t
	require.NoError(t, unix.Stat(filepath.Join(r.source, name, "sparse"), &s))
	require.Less(t, s.Blocks, int64(2048), "512-byte blocks of a file with one block of data")
}

// free is how many bytes the source's file system has left.
func (r *reflinked) free(t *testing.T) int64 {
	t.Helper()
	r.sync(t)
	var s unix.Statfs_t
	require.NoError(t, unix.Statfs(r.source, &s))
	return int64(s.Bfree) * s.Bsize
}

// isShared tells whether every extent of a file is another file's too.
func (r *reflinked) isShared(t *testing.T, name string) bool {
	t.Helper()
	extents := regexp.MustCompile(`(?m)^ +\d+: .*$`).FindAll(sh(t, "filefrag", "-v", filepath.Join(r.source, name)), -1)
	require.NotEmpty(t, extents, "extents of %s", name)
	return !slices.ContainsFunc(extents, func(extent []byte) bool { return !bytes.Contains(extent, []byte("shared")) })
}

func TestADirectoryMadeOnAMountOfBtrfsOrXFSIsAClone(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	for _, on := range withReflinks {
		t.Run(on.name, func(t *testing.T) {
			r := newReflinked(t, on, dir.CloneOptions{}, nil)
			const clones = 10
			before, start := r.free(t), time.Now()
			for i := range clones {
				require.NoError(t, os.Mkdir(fmt.Sprintf("%s/job-%d", r.mountpoint, i), 0o755))
			}
			t.Logf("%s: %.1f ms a clone of %d MiB", on.name, time.Since(start).Seconds()*1000/clones, reflinkDiskSize>>20)
			require.Less(t, before-r.free(t), int64(reflinkDiskSize/8), "bytes that ten clones take")

			for i := range clones {
				name := fmt.Sprintf("job-%d", i)
				require.True(t, r.isShared(t, name+"/disk.vdi"))
				require.Equal(t, presented(t, "dir:"+name), uuidOf(t, filepath.Join(r.mountpoint, name, "disk.vdi")))
			}
			r.requireClone(t, "job-0")
			r.requireWritesStayInTheirClone(t)
			r.requireRenameAndDestroy(t)
			require.NoError(t, r.volumes.Destroy(t.Context(), "golden"), "on Btrfs, a subvolume")
			require.NotContains(t, names(t, r.mountpoint), "golden")
		})
	}
}

func (r *reflinked) requireWritesStayInTheirClone(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(r.mountpoint+"/job-1/disk.vdi", os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = file.WriteAt([]byte("of job-1 alone"), 1<<20)
	require.NoError(t, err)
	require.NoError(t, file.Sync())
	require.NoError(t, file.Close())
	require.False(t, r.isShared(t, "job-1/disk.vdi"))
	r.requireClone(t, "job-2")
	require.Equal(t, presented(t, "dir:golden"), uuidOf(t, r.mountpoint+"/golden/disk.vdi"))
}

func (r *reflinked) requireRenameAndDestroy(t *testing.T) {
	t.Helper()
	mnt := r.mountpoint
	require.ErrorIs(t, os.Mkdir(mnt+"/job-1", 0o755), syscall.EEXIST)
	require.ErrorIs(t, syscall.Rename(mnt+"/job-1", mnt+"/job-2"), syscall.EEXIST)
	require.NoError(t, os.Rename(mnt+"/job-1", mnt+"/job-x"))
	require.Equal(t, presented(t, "dir:job-x"), uuidOf(t, mnt+"/job-x/disk.vdi"), "another name is another identity")

	require.NoError(t, os.Mkdir(r.source+"/plain", 0o755))
	require.ErrorIs(t, syscall.Rmdir(mnt+"/plain"), syscall.EPERM, "not a clone")
	require.ErrorIs(t, syscall.Rmdir(mnt+"/golden"), syscall.EPERM, "the template")
	require.ErrorIs(t, os.Rename(mnt+"/golden", mnt+"/silver"), syscall.EBUSY)
	require.ErrorIs(t, os.Mkdir(mnt+"/.clonefs-x", 0o755), syscall.EINVAL)

	file, err := os.Open(mnt + "/job-x/disk.vdi")
	require.NoError(t, err)
	require.ErrorIs(t, syscall.Rmdir(mnt+"/job-x"), syscall.EBUSY, "a file is open")
	require.NoError(t, file.Close())
	require.NoError(t, syscall.Rmdir(mnt+"/job-x"))
	require.NoDirExists(t, r.source+"/job-x")
	require.NotContains(t, names(t, mnt), "job-x")
	for _, name := range names(t, r.source) {
		require.NotContains(t, name, ".clonefs", "nothing is left")
	}
}

// A disk image on Btrfs is often made with chattr +C: Btrfs shares no blocks
// between such a file and another.
func TestCloneOfAnImageThatBtrfsOverwritesInPlace(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	for name, prepare := range map[string]func(r *reflinked){
		"the template": func(r *reflinked) { sh(t, "chattr", "+C", r.source+"/golden") },
		"the source":   func(r *reflinked) { sh(t, "chattr", "+C", r.source) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newReflinked(t, onBtrfs, dir.CloneOptions{}, nil)
			prepare(r)
			content, err := os.ReadFile(r.source + "/golden/disk.vdi")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(r.source+"/golden/new.vdi", content, 0o644))
			require.NoError(t, os.Mkdir(r.mountpoint+"/job-1", 0o755))
			r.requireClone(t, "job-1")
			r.sync(t)
			require.True(t, r.isShared(t, "job-1/new.vdi"))
			for _, name := range []string{"/.", "/new.vdi", "/disk.vdi"} {
				flags := func(volume string) string {
					return strings.Fields(string(sh(t, "lsattr", "-d", r.source+volume+name)))[0]
				}
				require.Equal(t, flags("/golden"), flags("/job-1"), name)
			}
		})
	}
}

func TestMkdirIsRefusedWhereBlocksCannotBeShared(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	for _, on := range withoutReflinks {
		t.Run(on.name, func(t *testing.T) {
			r := newReflinked(t, on, dir.CloneOptions{}, nil)
			require.ErrorIs(t, os.Mkdir(r.mountpoint+"/job-1", 0o755), syscall.EOPNOTSUPP)
			require.ErrorIs(t, r.manager.Create(t.Context(), "job-1"), dir.ErrNoReflink)
			require.Equal(t, names(t, r.source), names(t, r.mountpoint))
			require.NotContains(t, names(t, r.source), "job-1")
		})
		t.Run(on.name+", unless copies are allowed", func(t *testing.T) {
			r := newReflinked(t, on, dir.CloneOptions{Copy: true}, nil)
			require.NoError(t, os.Mkdir(r.mountpoint+"/job-1", 0o755))
			r.requireClone(t, "job-1")
			require.NoError(t, syscall.Rmdir(r.mountpoint+"/job-1"))
		})
	}
}

func TestAMountsTopSaysWhoMakesClones(t *testing.T) {
	if !inMountNamespace(t) {
		return
	}
	r := newReflinked(t, onXFS, dir.CloneOptions{}, &fs.Ownership{GID: staff, Mode: 0o775})
	as := func(who user, command ...string) error {
		run := exec.Command(command[0], command[1:]...)
		run.Dir = "/"
		run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: who.groups}}
		out, err := run.CombinedOutput()
		t.Logf("%s: %q: %v %s", who.name, command, err, out)
		return err
	}
	job, other := r.mountpoint+"/job-1", r.mountpoint+"/job-2"
	require.Error(t, as(plainUser, "mkdir", job))
	require.NoError(t, as(groupMember, "mkdir", job))
	r.requireClone(t, "job-1")
	require.Error(t, as(plainUser, "mv", "-T", job, other))
	require.Error(t, as(plainUser, "rmdir", job))
	r.requireClone(t, "job-1")
	require.NoError(t, as(groupMember, "mv", "-T", job, other))
	require.NoError(t, as(groupMember, "rmdir", other))
	require.NoDirExists(t, r.source+"/job-2")
	require.Error(t, as(groupMember, "rmdir", r.mountpoint+"/golden"))
	require.DirExists(t, r.source+"/golden/snapshots")
}
