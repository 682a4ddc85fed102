package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// A fakeManager makes volumes of a fakeSource.
type fakeManager struct {
	t      *testing.T
	source *fakeSource

	mu   sync.Mutex
	fail error
}

func (m *fakeManager) failWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *fakeManager) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fail
}

func (m *fakeManager) Create(_ context.Context, name string) error {
	err := m.failure()
	if err == nil {
		m.source.set(newVolume(m.t, name))
	}
	return err
}

func (m *fakeManager) Destroy(_ context.Context, name string) error {
	err := m.failure()
	if err == nil {
		m.source.remove(name)
	}
	return err
}

func (m *fakeManager) Rename(_ context.Context, name, newName string) error {
	if err := m.failure(); err != nil {
		return err
	}
	v, _ := m.source.Volume(name)
	m.source.remove(name)
	v.Name = newName
	m.source.set(v)
	return nil
}

// mountManaged mounts volumes "" and "a" with a manager.
func mountManaged(t *testing.T, top *fs.Ownership) (*fakeManager, string) {
	manager := &fakeManager{t: t, source: &fakeSource{volumes: map[string]fs.Volume{}, changed: make(chan func(), 1)}}
	manager.source.set(newVolume(t, ""))
	manager.source.set(newVolume(t, "a"))
	mountpoint := t.TempDir()
	server, err := fs.Mount(mountpoint, manager.source, fs.Options{Manager: manager, Top: top, Logger: testLogger(t)})
	require.NoError(t, err)
	t.Cleanup(func() { unmount(t, mountpoint, server) })
	return manager, mountpoint
}

func TestADirectoryMadeAtTheTopIsAVolume(t *testing.T) {
	_, mnt := mountManaged(t, nil)
	require.NoError(t, os.Mkdir(mnt+"/job-7", 0o755))
	require.Equal(t, presented(t, "zfs:job-7"), uuidOf(t, mnt+"/job-7/disk.vdi"), "its disk is there when mkdir returns")
	require.ErrorIs(t, os.Mkdir(mnt+"/job-7", 0o755), syscall.EEXIST)
	require.NoError(t, os.Mkdir(mnt+"/job-7/plain", 0o755), "further down a directory is a directory")
	require.NoError(t, os.Remove(mnt+"/job-7/plain"))

	before := uuidOf(t, mnt+"/job-7/disk.vdi")
	require.NoError(t, os.Rename(mnt+"/job-7", mnt+"/job-8"))
	require.Equal(t, []string{"a", "disk.vdi", "job-8"}, names(t, mnt))
	require.Equal(t, before, uuidOf(t, mnt+"/job-8/disk.vdi"), "a volume keeps its identity when it is renamed")

	require.NoError(t, syscall.Rmdir(mnt+"/job-8"))
	require.Equal(t, []string{"a", "disk.vdi"}, names(t, mnt))
	require.NoError(t, os.Mkdir(mnt+"/job-8", 0o755), "the name is free again")
	require.NoError(t, syscall.Rmdir(mnt+"/job-8"))
}

func TestAVolumeIsNotReplacedByAnother(t *testing.T) {
	_, mnt := mountManaged(t, nil)
	require.NoError(t, os.Mkdir(mnt+"/b", 0o755))
	require.ErrorIs(t, syscall.Rename(mnt+"/a", mnt+"/b"), syscall.EEXIST)
	require.ErrorIs(t, syscall.Rename(mnt+"/a", mnt+"/b/c"), syscall.EBUSY)
}

func TestAManagersErrorIsTheClients(t *testing.T) {
	manager, mnt := mountManaged(t, nil)
	for _, v := range []struct {
		fail error
		want syscall.Errno
	}{
		{fmt.Errorf("clone: out of space: %w", syscall.ENOSPC), syscall.ENOSPC},
		{fmt.Errorf("not a clone of the template: %w", syscall.EPERM), syscall.EPERM},
		{errors.New("something that has no errno"), syscall.EIO},
	} {
		manager.failWith(v.fail)
		require.ErrorIs(t, os.Mkdir(mnt+"/x", 0o755), v.want)
		require.ErrorIs(t, syscall.Rmdir(mnt+"/a"), v.want)
		require.ErrorIs(t, os.Rename(mnt+"/a", mnt+"/x"), v.want)
	}
	manager.failWith(nil)
	require.Equal(t, []string{"a", "disk.vdi"}, names(t, mnt))
}

func TestOwnerAndModeOfTheTopCanBeSet(t *testing.T) {
	_, mnt := mountManaged(t, &fs.Ownership{UID: 1234, GID: 5678, Mode: 0o1775})
	info, err := os.Stat(mnt)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|os.ModeSticky|0o775, info.Mode())
	require.EqualValues(t, 1234, info.Sys().(*syscall.Stat_t).Uid)
	require.EqualValues(t, 5678, info.Sys().(*syscall.Stat_t).Gid)
	require.ErrorIs(t, os.Chmod(mnt, 0o777), syscall.EPERM)
	// An access control list is a mode too, of the directory behind the top.
	acl := []byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 7, 0, 255, 255, 255, 255, 32, 0, 7, 0, 255, 255, 255, 255}
	require.ErrorIs(t, unix.Setxattr(mnt, "system.posix_acl_access", acl, 0), syscall.EPERM)
	_, err = unix.Getxattr(mnt, "system.posix_acl_access", nil)
	require.ErrorIs(t, err, syscall.ENODATA)
	require.NoError(t, os.Chtimes(mnt, info.ModTime(), info.ModTime()))
}
