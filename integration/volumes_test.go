package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

func TestVolumesStandWhereTheirNamesSay(t *testing.T) {
	_, mnt := mountVolumes(t, fs.Options{}, "", "a/b", "a/b/c", "d", "with space/é")
	require.Equal(t, []string{"a", "d", "disk.vdi", "with space"}, names(t, mnt))
	require.Equal(t, []string{"b"}, names(t, mnt+"/a"), "a leads to volumes, and is none")
	require.Equal(t, []string{"c", "disk.vdi"}, names(t, mnt+"/a/b"))
	for _, name := range []string{"", "a/b", "a/b/c", "d", "with space/é"} {
		require.Equal(t, presented(t, "zfs:"+name), uuidOf(t, filepath.Join(mnt, name, "disk.vdi")), name)
	}
}

func TestAPlaceThatOnlyLeadsToVolumesIsAnEmptyReadOnlyDirectory(t *testing.T) {
	_, mnt := mountVolumes(t, fs.Options{}, "a/b")
	info, err := os.Stat(mnt + "/a")
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o555, info.Mode())
	require.ErrorIs(t, os.Mkdir(mnt+"/a/x", 0o755), syscall.EROFS)
	require.ErrorIs(t, os.WriteFile(mnt+"/a/x", nil, 0o600), syscall.EROFS)
	var s unix.Statfs_t
	require.NoError(t, unix.Statfs(mnt+"/a", &s))
}

func TestWhatTheSourceHidesIsNotThere(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "", "a")
	top, _ := source.Volume("")
	a, _ := source.Volume("a")
	require.NoError(t, os.Mkdir(top.Dir+"/.hidden", 0o755))
	require.NoError(t, os.Mkdir(a.Dir+"/.hidden", 0o755))
	require.Equal(t, []string{"a", "disk.vdi"}, names(t, mnt))
	require.NoDirExists(t, mnt+"/.hidden")
	require.DirExists(t, mnt+"/a/.hidden", "only at the top")
	require.NoError(t, os.Remove(top.Dir+"/.hidden"))
	require.ErrorIs(t, os.WriteFile(mnt+"/.hidden", nil, 0o600), syscall.EPERM)
	require.ErrorIs(t, os.Symlink("x", mnt+"/.hidden"), syscall.EPERM)
	require.ErrorIs(t, os.Rename(mnt+"/disk.vdi", mnt+"/.hidden"), syscall.EPERM)
}

func TestAVolumeIsSeenTheMomentItExists(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a")
	_, err := os.Stat(mnt + "/b/c")
	require.ErrorIs(t, err, os.ErrNotExist)
	source.set(newVolume(t, "b/c"))
	require.Equal(t, presented(t, "zfs:b/c"), uuidOf(t, mnt+"/b/c/disk.vdi"))
	require.Equal(t, []string{"a", "b"}, names(t, mnt))
}

func TestAVolumeThatIsGoneIsGoneAtOnce(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a", "b/c")
	require.FileExists(t, mnt+"/b/c/disk.vdi")
	source.remove("b/c")
	_, err := os.Stat(mnt + "/b/c/disk.vdi")
	require.ErrorIs(t, err, os.ErrNotExist)
	source.set(newVolume(t, "b/c"))
	require.FileExists(t, mnt+"/b/c/disk.vdi")
	source.remove("b/c")
	_, err = os.ReadDir(mnt + "/b/c")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, []string{"a"}, names(t, mnt))
}

func TestAListingKnowsOfAChangeThatNobodyLookedUp(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a")
	for range 20 {
		source.set(newVolume(t, "b"))
		require.Equal(t, []string{"a", "b"}, names(t, mnt))
		source.remove("b")
		require.Equal(t, []string{"a"}, names(t, mnt))
	}
}

func TestTheKernelIsToldWhenAVolumeGoes(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a")
	kept, err := os.Open(mnt + "/a")
	require.NoError(t, err)
	defer kept.Close()
	source.remove("a")
	(<-source.changed)()
	require.Eventually(t, func() bool {
		path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", kept.Fd()))
		return err == nil && strings.HasSuffix(path, " (deleted)")
	}, 5*time.Second, 10*time.Millisecond)
}

func TestAVolumeMadeAnewShowsNothingOfTheOldOne(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a")
	old := newVolume(t, "a")
	source.set(old)
	// Nothing is opened: the kernel tells of a last close after close(2) has
	// returned, and until then a volume keeps its identity.
	before, err := os.Stat(mnt + "/a/disk.vdi")
	require.NoError(t, err)
	stale, err := os.Open(mnt + "/a") // as a working directory is
	require.NoError(t, err)
	defer stale.Close()

	// The same directory with the same inode numbers, as after a destroy
	// and a clone of the same snapshot under the same name.
	now := old
	now.Identity = "zfs:anew"
	source.set(now)
	require.Equal(t, presented(t, "zfs:anew"), uuidOf(t, mnt+"/a/disk.vdi"))
	after, err := os.Stat(mnt + "/a/disk.vdi")
	require.NoError(t, err)
	require.False(t, os.SameFile(before, after), "another inode for the kernel")

	// As before, but with a pinned identity: only the source can tell.
	now.Instance = 2
	source.set(now)
	again, err := os.Stat(mnt + "/a/disk.vdi")
	require.NoError(t, err)
	require.True(t, os.SameFile(after, again), "one number, for it is made from the identity")
	_, err = unix.Openat(int(stale.Fd()), "disk.vdi", unix.O_RDONLY, 0)
	require.ErrorIs(t, err, syscall.ESTALE, "who stands in the old one sees nothing of the new one")

	source.remove("a")
	_, err = os.Stat(mnt + "/a/disk.vdi")
	require.ErrorIs(t, err, os.ErrNotExist)
	time.Sleep(20 * time.Millisecond) // the kernel forgets the volume's name
	_, err = os.Stat(mnt + "/a")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAnIdentityThatChangesWaitsForOpenFiles(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a")
	v, _ := source.Volume("a")
	f, err := os.Open(mnt + "/a/disk.vdi")
	require.NoError(t, err)
	v.Identity = "name:pinned"
	source.set(v)
	require.Equal(t, presented(t, "zfs:a"), uuidOf(t, mnt+"/a/disk.vdi"))
	require.NoError(t, f.Close())
	require.Eventually(t, func() bool { return uuidOf(t, mnt+"/a/disk.vdi") == presented(t, "name:pinned") },
		5*time.Second, 10*time.Millisecond)
	v.Identity = vdi.Original
	source.set(v)
	require.Eventually(t, func() bool { return uuidOf(t, mnt+"/a/disk.vdi") == "557c401d-a59d-4616-ba57-7aeaf17322eb" },
		5*time.Second, 10*time.Millisecond, "the kernel tells of the last close a moment later")
}

func TestARootThatIsOnAnotherDeviceIsNotServed(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a")
	v, _ := source.Volume("a")
	v.Device = 12345 // the dataset is mounted no more: what is seen is the directory below
	source.set(v)
	_, err := os.ReadFile(mnt + "/a/disk.vdi")
	require.ErrorIs(t, err, syscall.ESTALE)
}

func TestInodeNumbersAreUniqueOverVolumes(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a", "b")
	a, _ := source.Volume("a")
	source.set(fs.Volume{Name: "same", Dir: a.Dir, Identity: "zfs:same"})
	seen := map[uint64]string{}
	for _, name := range []string{"", "a", "b", "same", "a/disk.vdi", "b/disk.vdi", "same/disk.vdi"} {
		var s unix.Stat_t
		require.NoError(t, unix.Lstat(filepath.Join(mnt, name), &s))
		require.Empty(t, seen[s.Ino], name)
		seen[s.Ino] = name
	}
}

// Two volumes may hold one file: the lock must be the file's.
func TestAHeaderSharedByTwoVolumesIsChangedByOneAtATime(t *testing.T) {
	m := mount(t, fs.Options{}, "a", "b")
	require.NoError(t, os.WriteFile(m.source+"/a/disk.vdi", realHeader(t), 0o600))
	require.NoError(t, os.Link(m.source+"/a/disk.vdi", m.source+"/b/disk.vdi"))
	var writers sync.WaitGroup
	for i, volume := range []string{"a", "b"} {
		f, err := os.OpenFile(filepath.Join(m.mountpoint, volume, "disk.vdi"), os.O_RDWR, 0)
		require.NoError(t, err)
		defer f.Close()
		writers.Go(func() {
			for n := range 2000 { // beside the UUIDs
				if _, err := f.WriteAt([]byte{byte(n)}, int64(80+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	stored, err := os.ReadFile(m.source + "/a/disk.vdi")
	require.NoError(t, err)
	want := realHeader(t)
	want[80], want[81] = stored[80], stored[81]
	require.Equal(t, want, stored)
}

// A daemon that opened a fifo would wait for somebody to open its other end.
func TestAFifoThatTakesAFilesPlaceIsNotOpened(t *testing.T) {
	m := mount(t, fs.Options{}, "a")
	require.NoError(t, os.WriteFile(m.source+"/a/file", nil, 0o600))
	held, err := unix.Open(m.mountpoint+"/a/file", unix.O_PATH, 0)
	require.NoError(t, err)
	defer unix.Close(held)
	require.NoError(t, os.Remove(m.source+"/a/file"))
	require.NoError(t, unix.Mkfifo(m.source+"/a/file", 0o600))
	_, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", held))
	require.ErrorIs(t, err, syscall.ESTALE)
}

func TestVolumesAreBoundaries(t *testing.T) {
	_, mnt := mountVolumes(t, fs.Options{}, "", "a", "b/c")
	require.NoError(t, os.Mkdir(mnt+"/a/dir", 0o755))
	for _, v := range []struct {
		name string
		call func() error
		want syscall.Errno
	}{
		{"a file is not renamed to another volume", func() error { return os.Rename(mnt+"/a/disk.vdi", mnt+"/b/c/x") }, syscall.EXDEV},
		{"a file is not linked to another volume", func() error { return os.Link(mnt+"/a/disk.vdi", mnt+"/b/c/x") }, syscall.EXDEV},
		{"a directory is not renamed to the top", func() error { return os.Rename(mnt+"/a/dir", mnt+"/x") }, syscall.EXDEV},
		{"a volume is not renamed", func() error { return os.Rename(mnt+"/a", mnt+"/x") }, syscall.EBUSY},
		{"a volume is not replaced", func() error { return syscall.Rename(mnt+"/a/dir", mnt+"/b") }, syscall.EBUSY},
		{"a volume is not exchanged", func() error {
			return unix.Renameat2(unix.AT_FDCWD, mnt+"/disk.vdi", unix.AT_FDCWD, mnt+"/a", unix.RENAME_EXCHANGE)
		}, syscall.EBUSY},
		{"a volume is not removed", func() error { return syscall.Rmdir(mnt + "/a") }, syscall.EBUSY},
		{"what leads to a volume is not removed", func() error { return syscall.Rmdir(mnt + "/b") }, syscall.EBUSY},
		{"a directory at the top would be a volume", func() error { return os.Mkdir(mnt+"/x", 0o755) }, syscall.EPERM},
		{"a volume is there already", func() error { return os.Mkdir(mnt+"/a", 0o755) }, syscall.EEXIST},
	} {
		t.Run(v.name, func(t *testing.T) {
			require.ErrorIs(t, v.call(), v.want)
		})
	}
	require.Equal(t, []string{"a", "b", "disk.vdi"}, names(t, mnt))
}

func TestAReadOnlyVolumeIsRead(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a", "b")
	v, _ := source.Volume("a")
	v.ReadOnly = true
	source.set(v)
	require.Equal(t, presented(t, "zfs:a"), uuidOf(t, mnt+"/a/disk.vdi"))
	requireReadOnly(t, mnt+"/a")
	require.NoError(t, os.WriteFile(mnt+"/b/x", nil, 0o600), "the other one is not")
}

func TestAReadOnlyMountIsRead(t *testing.T) {
	_, mnt := mountVolumes(t, fs.Options{ReadOnly: true}, "a")
	require.Equal(t, presented(t, "zfs:a"), uuidOf(t, mnt+"/a/disk.vdi"))
	requireReadOnly(t, mnt+"/a")
}

func TestAVolumeBecomesReadOnlyAndWritableAgainUnderAnOpenFile(t *testing.T) {
	source, mnt := mountVolumes(t, fs.Options{}, "a")
	f, err := os.OpenFile(mnt+"/a/disk.vdi", os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	v, _ := source.Volume("a")
	for _, v.ReadOnly = range []bool{true, false} {
		source.set(v)
		require.Equal(t, presented(t, "zfs:a"), uuidOf(t, mnt+"/a/disk.vdi"))
		if err := f.Chmod(0o600); v.ReadOnly {
			require.ErrorIs(t, err, unix.EROFS)
		} else {
			require.NoError(t, err)
		}
	}
}

func requireReadOnly(t *testing.T, dir string) {
	t.Helper()
	disk := dir + "/disk.vdi"
	_, err := os.OpenFile(disk, os.O_RDWR, 0)
	for _, err := range []error{
		err,
		os.WriteFile(dir+"/x", nil, 0o600),
		os.Mkdir(dir+"/x", 0o755),
		os.Symlink("x", dir+"/x"),
		unix.Mknod(dir+"/x", unix.S_IFIFO|0o600, 0),
		os.Link(disk, dir+"/x"),
		os.Rename(disk, dir+"/x"),
		os.Remove(disk),
		os.Truncate(disk, 0),
		os.Chmod(disk, 0o777),
		os.Chown(disk, 1, 1),
		os.Chtimes(disk, time.Now(), time.Now()),
		unix.Setxattr(disk, "user.x", []byte("x"), 0),
		unix.Removexattr(disk, "user.x"),
	} {
		require.ErrorIs(t, err, syscall.EROFS)
	}
}

func TestAMountShowsTheSameAfterARemount(t *testing.T) {
	m := mount(t, fs.Options{}, "a", "b")
	for _, v := range []string{"a", "b", "."} {
		require.NoError(t, os.WriteFile(filepath.Join(m.source, v, "disk.vdi"), realHeader(t), 0o600))
	}
	look := func() (all []string) {
		for _, v := range []string{"a", "b", "."} {
			path := filepath.Join(m.mountpoint, v, "disk.vdi")
			info, err := os.Stat(path)
			require.NoError(t, err)
			all = append(all, uuidOf(t, path), fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino))
		}
		return all
	}
	before := look()
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(before))), 6)
	m.restart(t, fs.Options{})
	require.Equal(t, before, look())
}

func TestFilesThatAreNoImagesPassThrough(t *testing.T) {
	m := mount(t, fs.Options{}, "a")
	damaged := realHeader(t)
	damaged[64]++
	old := realHeader(t)
	old[68], old[70] = 0, 2
	for name, content := range map[string][]byte{
		"text": []byte("not an image"), "empty.vdi": {}, "bad signature.vdi": damaged,
		"odd version.vdi": old, "short.vdi": realHeader(t)[:439],
	} {
		require.NoError(t, os.WriteFile(filepath.Join(m.source, "a", name), content, 0o600))
		got, err := os.ReadFile(filepath.Join(m.mountpoint, "a", name))
		require.NoError(t, err)
		require.Equal(t, content, append([]byte{}, got...), name)
	}
}
