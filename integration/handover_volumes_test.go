//go:build linux

package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/dir"
	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/vdi"
)

// Volumes come, go and come again while the mount is handed over.
func TestVolumesThatChangeDuringAHandoverAreSeenAsTheyAre(t *testing.T) {
	requireRoot(t)
	source := t.TempDir()
	mount := daemon.Start(t, source, t.TempDir())
	header, stop, stopped := realHeader(t), make(chan struct{}), make(chan error, 1)
	go func() { stopped <- changeVolumes(source, mount.Dir, header, stop) }()
	for range handovers() / 2 {
		mount.Replace(t)
	}
	close(stop)
	require.NoError(t, <-stopped)
	want := names(t, source)
	require.Equal(t, want, slices.Sorted(slices.Values(names(t, mount.Dir))))
	for _, name := range want {
		stored, err := os.ReadFile(filepath.Join(source, name, "mark"))
		require.NoError(t, err)
		shown, err := os.ReadFile(filepath.Join(mount.Dir, name, "mark"))
		require.NoError(t, err)
		require.Equal(t, string(stored), string(shown), "not what another volume of this name had")
		require.Equal(t, presented(t, "dir:"+name), uuidOf(t, filepath.Join(mount.Dir, name, "disk.vdi")))
	}
}

// changeVolumes makes and removes volumes, and looks at each that it has made.
func changeVolumes(source, mount string, header []byte, stop <-chan struct{}) error {
	for number := 0; ; number++ {
		select {
		case <-stop:
			return nil
		default:
		}
		name, mark := fmt.Sprint("volume-", rand.IntN(20)), fmt.Sprint("made as number ", number)
		if err := os.RemoveAll(filepath.Join(source, name)); err != nil {
			return err
		}
		if rand.IntN(3) == 0 {
			continue
		}
		if err := os.Mkdir(filepath.Join(source, name), 0o755); err != nil {
			return err
		}
		for file, content := range map[string][]byte{"disk.vdi": header, "mark": []byte(mark)} {
			if err := os.WriteFile(filepath.Join(source, name, file), content, 0o600); err != nil {
				return err
			}
		}
		if shown, err := os.ReadFile(filepath.Join(mount, name, "mark")); err != nil || string(shown) != mark {
			return fmt.Errorf("%s, %s: %q, %w", name, mark, shown, err)
		}
	}
}

// takeOver hands a mount of this process over to another server in it.
func takeOver(t *testing.T, server *fs.Server, mountpoint string, source fs.Source, options fs.Options) *fs.Server {
	t.Helper()
	h, err := server.Suspend(cliPatience)
	require.NoError(t, err)
	taker, err := fs.Adopt(mountpoint, source, options, received(t, h))
	if err != nil {
		server.Resume()
		require.NoError(t, err)
	}
	server.Leave()
	server.Wait()
	taker.Resume()
	return taker
}

// received is a handover as another process has it.
func received(t *testing.T, h *fs.Handover) *fs.Handover {
	t.Helper()
	other := &fs.Handover{State: h.State}
	for _, fd := range h.Files {
		duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		other.Files = append(other.Files, duplicate)
	}
	return other
}

// The UUID of an open image never changes, also when the new identity has come in the
// time of another daemon.
func TestAnIdentityThatChangesWaitsForFilesThatWereOpenBeforeAHandover(t *testing.T) {
	for name, before := range map[string]bool{"it changes before": true, "it changes meanwhile": false} {
		t.Run(name, func(t *testing.T) {
			source := &fakeSource{volumes: map[string]fs.Volume{}, changed: make(chan func(), 2)}
			v := newVolume(t, "a")
			source.set(v)
			mnt, options := t.TempDir(), fs.Options{Logger: testLogger(t)}
			server, err := fs.Mount(mnt, source, options)
			require.NoError(t, err)
			t.Cleanup(func() { unmount(t, mnt, server) })
			f, err := os.Open(mnt + "/a/disk.vdi")
			require.NoError(t, err)
			v.Identity = "name:pinned"
			source.set(v)
			if before {
				require.Equal(t, presented(t, "zfs:a"), uuidOf(t, mnt+"/a/disk.vdi"))
			}
			server = takeOver(t, server, mnt, source, options)
			require.Equal(t, presented(t, "zfs:a"), uuidOf(t, mnt+"/a/disk.vdi"))
			require.NoError(t, f.Close())
			(&cli{t: t}).eventually("it is its identity", func() bool { return uuidOf(t, mnt+"/a/disk.vdi") == presented(t, "name:pinned") })
		})
	}
}

// What is handed over may be damaged, or of a version that is to come.
func TestADamagedHandoverIsRefusedAndTheMountGoesOn(t *testing.T) {
	m := mount(t, fs.Options{}, "vm")
	require.NoError(t, os.WriteFile(filepath.Join(m.source, "vm/disk.vdi"), realHeader(t), 0o600))
	f, err := os.OpenFile(filepath.Join(m.mountpoint, "vm/disk.vdi"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	source, err := dir.New(m.source, testLogger(t))
	require.NoError(t, err)
	h, err := m.server.Suspend(cliPatience)
	require.NoError(t, err)
	resumed := false
	defer func() {
		if !resumed {
			m.server.Resume()
		}
	}()
	adopt := func(state []byte, files int) error {
		damaged := received(t, h)
		damaged.State = state
		all := damaged.Files
		damaged.Files = all[:files]
		taker, err := fs.Adopt(m.mountpoint, source, fs.Options{}, damaged)
		if err == nil { // the damage has done no harm
			taker.Leave()
			taker.Wait()
			all = all[1:]
		}
		for _, fd := range all {
			_ = unix.Close(fd)
		}
		return err
	}
	require.NoError(t, adopt(h.State, len(h.Files)), "or this shows nothing")
	require.ErrorContains(t, adopt(h.State, len(h.Files)-1), "descriptors have come")
	require.Error(t, adopt(nil, len(h.Files)))
	for range 200 {
		require.Error(t, adopt(h.State[:rand.IntN(len(h.State)-1)], len(h.Files)))
	}
	for range 1000 {
		state := slices.Clone(h.State)
		state[rand.IntN(len(state))] ^= byte(1 << rand.IntN(8))
		_ = adopt(state, len(h.Files)) // it is to return
	}
	m.server.Resume()
	resumed = true
	require.NoError(t, writeBackHeader(f, 1))
	require.Equal(t, presented(t, "dir:vm"), uuidOf(t, filepath.Join(m.mountpoint, "vm/disk.vdi")))
}

// A program that has native I/O keeps it, and others the mapped view.
func TestNativeIOGoesOnAfterAHandover(t *testing.T) {
	requireRoot(t)
	source, bin := t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(source, "vm"), 0o755))
	stored := append(realHeader(t), make([]byte, 16<<10)...)[:16<<10]
	require.NoError(t, os.WriteFile(filepath.Join(source, "vm/disk.vdi"), stored, 0o600))
	m := daemon.Start(t, source, t.TempDir(), "--native-io=VBoxHeadless")
	path, native, other := filepath.Join(m.Dir, "vm/disk.vdi"), install(t, bin, "VBoxHeadless"), install(t, bin, "qemu")
	mapped := slices.Clone(stored)
	vdi.NewMask("dir:vm", vdi.KeepGuestSerial).Present(mapped[:vdi.HeaderSize])
	vm, held := runProgram(t, native, path, unix.O_RDWR), runProgram(t, other, path, unix.O_RDWR)
	for round := range rounds {
		m.Replace(t)
		vm2, held2 := runProgram(t, native, path, unix.O_RDWR|unix.O_DIRECT), runProgram(t, other, path, unix.O_RDWR)
		for _, p := range []*program{vm, vm2} {
			requireSameBytes(t, stored, p.read(t, 0, len(stored)), "the program that is named")
		}
		for _, p := range []*program{held, held2} {
			requireSameBytes(t, mapped, p.read(t, 0, len(stored)), "another")
		}
		vm2.quit(t)
		held2.quit(t)
		page := make([]byte, 4096)
		page[0] = byte(round + 1)
		vm.write(t, 8192, page)
		held.write(t, 12288, page)
		for _, view := range [][]byte{stored, mapped} {
			copy(view[8192:], page)
			copy(view[12288:], page)
		}
	}
	vm.quit(t)
	held.quit(t)
	f, err := os.Open(filepath.Join(source, "vm/disk.vdi"))
	require.NoError(t, err)
	defer f.Close()
	(&cli{t: t}).eventually("nobody has the stored file open, the kernel neither", func() bool {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
		return err == nil
	})
}
