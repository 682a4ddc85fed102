//go:build linux

package integration

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

// A nativeMount has an image in its volume "vm", and a program that has native I/O.
type nativeMount struct {
	*mounted
	native, other     string // programs
	stored, presented string // the image's paths
	seen              []byte // what the mapped view shows
}

const nativeSize = 16 << 10

func mountNative(t *testing.T) *nativeMount {
	t.Helper()
	requireRoot(t)
	m := &nativeMount{mounted: mountCounted(t, fs.Options{NativeIO: []string{"VBoxHeadless"}}, "vm")}
	dir := t.TempDir()
	m.native, m.other = install(t, dir, "VBoxHeadless"), install(t, dir, "qemu")
	m.stored, m.presented = filepath.Join(m.source, "vm/disk.vdi"), filepath.Join(m.mountpoint, "vm/disk.vdi")
	m.seen = append(realHeader(t), bytes.Repeat([]byte{7}, nativeSize)...)[:nativeSize]
	require.NoError(t, os.WriteFile(m.stored, m.seen, 0o600))
	m.present(m.seen)
	return m
}

func (m *nativeMount) present(header []byte) {
	vdi.NewMask("dir:vm", vdi.KeepGuestSerial).Present(header[:vdi.HeaderSize])
}

// requireStored checks what is stored and what the mapped view shows: want.
func (m *nativeMount) requireMapped(t *testing.T, want []byte) {
	t.Helper()
	got, err := os.ReadFile(m.presented)
	require.NoError(t, err)
	requireSameBytes(t, want, got, "the mapped view")
	want = bytes.Clone(want)
	m.present(want)
	got, err = os.ReadFile(m.stored)
	require.NoError(t, err)
	requireSameBytes(t, want, got, "what is stored")
}

func (m *nativeMount) storedBytes(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile(m.stored)
	require.NoError(t, err)
	return content
}

func TestANativeProgramHasTheStoredImageWhileOthersHaveTheMappedOne(t *testing.T) {
	for _, v := range []struct {
		name  string
		flags int
	}{{"through the cache", unix.O_RDWR}, {"with O_DIRECT", unix.O_RDWR | unix.O_DIRECT}} {
		for _, order := range []string{"the native program is first", "others are first"} {
			t.Run(v.name+", "+order, func(t *testing.T) {
				m := mountNative(t)
				var held *os.File
				var vm *program
				steps := []func(){
					func() { vm = runProgram(t, m.native, m.presented, v.flags) },
					func() {
						var err error
						held, err = os.OpenFile(m.presented, os.O_RDWR, 0)
						require.NoError(t, err)
						t.Cleanup(func() { held.Close() })
						requireAt(t, held, 0, m.seen)
					},
				}
				if order == "others are first" {
					steps[0], steps[1] = steps[1], steps[0]
				}
				steps[0]()
				steps[1]()

				sent := requests(t, m.mounted, func() {
					requireSameBytes(t, m.storedBytes(t), vm.read(t, 0, nativeSize), "the program reads what is stored")
					vm.write(t, 4096, bytes.Repeat([]byte{9}, 4096))
					header := m.storedBytes(t)[:4096]
					header[80] = 'n'
					vm.write(t, 0, header)
				})
				require.Zero(t, sent["READ"]+sent["WRITE"], "%v", sent)

				copy(m.seen[4096:], bytes.Repeat([]byte{9}, 4096))
				m.seen[80] = 'n'
				requireAt(t, held, 0, m.seen)
				_, err := held.WriteAt(append(bytes.Clone(m.seen[72:81]), 'h'), 72)
				require.NoError(t, err)
				m.seen[81] = 'h'
				_, err = held.WriteAt([]byte("mapped"), 9000)
				require.NoError(t, err)
				copy(m.seen[9000:], "mapped")
				m.requireMapped(t, m.seen)
				requireSameBytes(t, m.storedBytes(t), vm.read(t, 0, nativeSize), "what the program sees of others' writes")

				id := vdi.UUID{0: 1, 6: 6, 15: 15} // rule 1 beside a native descriptor
				_, err = held.WriteAt(id[:], createAt)
				require.NoError(t, err)
				copy(m.seen[createAt:], id[:])
				m.requireMapped(t, m.seen)
				vm.quit(t)
				m.requireMapped(t, m.seen)
			})
		}
	}
}

func requireAt(t *testing.T, f *os.File, off int64, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := f.ReadAt(got, off)
	require.NoError(t, err)
	requireSameBytes(t, want, got, "what a mapped descriptor reads")
}

// isNative tells whether the program reads stored UUIDs, and without a request.
func (m *nativeMount) isNative(t *testing.T, p *program) bool {
	t.Helper()
	var header []byte
	sent := requests(t, m.mounted, func() { header = p.read(t, 0, vdi.HeaderSize) })
	native := bytes.Equal(header, m.storedBytes(t)[:vdi.HeaderSize])
	require.Equal(t, native, sent["READ"] == 0, "%v", sent)
	return native
}

func TestOnlyTheNamedProgramHasNativeIO(t *testing.T) {
	m := mountNative(t)
	start := func(executable, argv0 string) *program {
		cmd := help("obey", m.presented, "0")
		cmd.Path, cmd.Args[0] = executable, argv0
		return startProgram(t, cmd)
	}
	require.True(t, m.isNative(t, start(m.native, m.native)))
	require.True(t, m.isNative(t, start(m.native, "qemu")), "what it calls itself is of no matter")
	require.False(t, m.isNative(t, start(m.other, m.other)))
	require.False(t, m.isNative(t, start(m.other, m.native)), "nor does a name help another program")
	link := filepath.Join(t.TempDir(), "VBoxHeadless")
	require.NoError(t, os.Symlink(m.other, link))
	require.False(t, m.isNative(t, start(link, link)), "nor a symbolic link to one")

	removed := install(t, t.TempDir(), "VBoxHeadless")
	cmd := help("open-when-removed", m.presented, removed)
	cmd.Path = removed
	require.True(t, m.isNative(t, startProgram(t, cmd)), "a program that was updated while it ran is the same one")
}

var _ = addHelper("open-when-removed", func(args []string) string {
	must(os.Remove(args[1]))
	return obey(args[0], unix.O_RDONLY)
})

func TestAProgramMayBeNamedByItsPath(t *testing.T) {
	requireRoot(t)
	dir, elsewhere := t.TempDir(), t.TempDir()
	m := &nativeMount{native: install(t, dir, "vm"), other: install(t, elsewhere, "vm")}
	m.mounted = mountCounted(t, fs.Options{NativeIO: []string{m.native}}, "vm")
	m.stored, m.presented = filepath.Join(m.source, "vm/disk.vdi"), filepath.Join(m.mountpoint, "vm/disk.vdi")
	require.NoError(t, os.WriteFile(m.stored, append(realHeader(t), make([]byte, 4096)...), 0o600))
	require.True(t, m.isNative(t, runProgram(t, m.native, m.presented, unix.O_RDONLY)))
	require.False(t, m.isNative(t, runProgram(t, m.other, m.presented, unix.O_RDONLY)))
}

func TestWithoutTheOptionNobodyHasNativeIO(t *testing.T) {
	requireRoot(t)
	m := &nativeMount{native: install(t, t.TempDir(), "VBoxHeadless"), mounted: mountCounted(t, fs.Options{}, "vm")}
	m.stored, m.presented = filepath.Join(m.source, "vm/disk.vdi"), filepath.Join(m.mountpoint, "vm/disk.vdi")
	require.NoError(t, os.WriteFile(m.stored, append(realHeader(t), make([]byte, 4096)...), 0o600))
	require.False(t, m.isNative(t, runProgram(t, m.native, m.presented, unix.O_RDONLY)))
}

func TestASetuidImageIsNotNative(t *testing.T) {
	m := mountNative(t)
	require.NoError(t, os.Chmod(m.stored, 0o600|os.ModeSetuid))
	require.False(t, m.isNative(t, runProgram(t, m.native, m.presented, unix.O_RDWR)), "nobody would take setuid away")
}

func TestFilesThatAreNoImagesAreCachedBesideNativeIO(t *testing.T) {
	t.Parallel()
	m := mountNative(t)
	require.NoError(t, os.WriteFile(m.source+"/vm/text", make([]byte, 4096), 0o600))
	awaitWarm(t, m.mounted, m.mountpoint+"/vm/text")
	p := runProgram(t, m.native, m.mountpoint+"/vm/text", unix.O_RDONLY)
	require.Len(t, p.read(t, 0, 4096), 4096)
}

func TestAnImageMadeThroughTheMountIsNative(t *testing.T) {
	m := mountNative(t)
	m.stored, m.presented = m.stored+".new", m.presented+".new"
	made, err := os.Create(m.presented)
	require.NoError(t, err)
	defer made.Close()
	_, err = made.Write(m.seen)
	require.NoError(t, err)
	require.True(t, m.isNative(t, runProgram(t, m.native, m.presented, unix.O_RDWR)), "even while who made it has it open")
	m.requireMapped(t, m.seen)
}

func TestWhatHappensToTheStoredFileUnderANativeProgramIsItsAffairAlone(t *testing.T) {
	m := mountNative(t)
	vm := runProgram(t, m.native, m.presented, unix.O_RDWR)
	held, err := os.Open(m.presented)
	require.NoError(t, err)
	defer held.Close()
	require.NoError(t, os.Truncate(m.stored, 4096))
	require.Eventually(t, func() bool { return len(vm.read(t, 8192, 512)) == 0 }, 10*time.Second, 10*time.Millisecond, "the file has ended")
	require.Len(t, vm.read(t, 0, 512), 512)
	requireAt(t, held, 0, m.seen[:4096])
	require.NoError(t, os.Remove(m.stored))
	vm.write(t, 512, []byte("gone"))
	require.Equal(t, []byte("gone"), vm.read(t, 512, 4))
	_, err = os.Open(m.presented)
	require.ErrorIs(t, err, syscall.ENOENT)
	require.NoError(t, os.WriteFile(m.stored, m.storedBytesOf(m.seen), 0o600))
	m.requireMapped(t, m.seen)
	require.True(t, m.isNative(t, runProgram(t, m.native, m.presented, unix.O_RDWR)), "and so is the new file")
}

func (m *nativeMount) storedBytesOf(seen []byte) []byte {
	stored := bytes.Clone(seen)
	m.present(stored)
	return stored
}

func TestNativeDescriptorsLeaveNothingBehind(t *testing.T) {
	m := mountNative(t)
	backWithLargeXattrs(t, m.source+"/vm") // which is unmounted at the end: nothing may keep it busy
	require.NoError(t, os.WriteFile(m.stored, m.storedBytesOf(m.seen), 0o600))
	for range 3 {
		vm := runProgram(t, m.native, m.presented, unix.O_RDWR)
		other := runProgram(t, m.other, m.presented, unix.O_RDWR)
		require.True(t, m.isNative(t, vm))
		require.False(t, m.isNative(t, other))
		vm.quit(t)
		require.False(t, m.isNative(t, other))
		other.quit(t)
		m.requireMapped(t, m.seen)
	}
}

// The kernel maps the file that it does I/O with, whoever asks. So with native I/O a
// shared mapping of an image is the stored image's, also for programs that are not
// named; what they read and write is mapped all the same.
func TestMappingsOfAnImageAreTheStoredImagesWhereThereIsNativeIO(t *testing.T) {
	m := mountNative(t)
	for i, executable := range []string{m.native, m.other} {
		p := runProgram(t, executable, m.presented, unix.O_RDWR)
		a := p.do(t, order{What: "map", Size: 4096})
		require.Zero(t, a.Errno)
		requireSameBytes(t, m.storedBytes(t)[:4096], a.Data, "the mapping")
		a = p.do(t, order{What: "store", Off: int64(2000 + i), Data: []byte("m")})
		require.Zero(t, a.Errno)
		m.seen[2000+i] = 'm'
		m.requireMapped(t, m.seen)
	}
}

// Sendfile and splice read what the kernel has in its pages, which it does not drop
// when a native program writes: only when a file is opened, or its times are seen to
// have changed.
func TestWhatIsSentOfAnImageIsAsNewAsTheLastOpenOrStat(t *testing.T) {
	m := mountNative(t)
	vm := runProgram(t, m.native, m.presented, unix.O_RDWR)
	held := runProgram(t, m.other, m.presented, unix.O_RDONLY)
	for i, look := range []func(){
		func() { runProgram(t, m.other, m.presented, unix.O_RDONLY).quit(t) },
		func() { require.NoError(t, statOf(m.presented)) },
	} {
		sent := held.do(t, order{What: "send", Size: nativeSize})
		require.Zero(t, sent.Errno)
		requireSameBytes(t, m.seen, sent.Data, "what is sent")
		for _, off := range []int{80, 9000} {
			m.seen[off] = byte('a' + i)
			vm.write(t, int64(off), m.seen[off:off+1])
		}
		look()
		sent = held.do(t, order{What: "send", Size: nativeSize})
		requireSameBytes(t, m.seen, sent.Data, "what is sent after that")
	}
}

func TestNativeIOThatIsNotPossibleIsSaidOnce(t *testing.T) {
	requireTool(t, "fusermount3")
	c := newCLI(t, "job-1/disk.vdi")
	r := c.inNamespaces(userScript + `
user $CLONEFS mount --native-io=cat --log-file "$NOBODY_HOME/log" ./src mnt
user cat mnt/job-1/disk.vdi | cmp - src/job-1/disk.vdi && echo stored || echo mapped
user $CLONEFS unmount mnt
grep -c "no native I/O" "$NOBODY_HOME/log"
`)
	require.Zero(t, r.status, r.stdout+r.stderr)
	require.Contains(t, r.stdout, "mapped\n1\n")
}

// What a file system is good for, it is good for with native I/O as well.
func TestWhatIsWrittenAndReadAtRandomIsTheSameBesideNativeIO(t *testing.T) {
	m := mountNative(t)
	vm := runProgram(t, m.native, m.presented, unix.O_RDWR)
	random := rand.New(rand.NewPCG(1, 2))
	held, err := os.OpenFile(m.presented, os.O_RDWR, 0)
	require.NoError(t, err)
	defer held.Close()
	for range 500 {
		off := random.IntN(nativeSize - 1)
		data := make([]byte, 1+random.IntN(min(900, nativeSize-off)))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		if off >= vdi.HeaderSize && random.IntN(2) == 0 {
			vm.write(t, int64(off), data)
		} else {
			_, err := held.WriteAt(data, int64(off))
			require.NoError(t, err)
		}
		copy(m.seen[off:], data)
		requireAt(t, held, 0, m.seen)
	}
	m.requireMapped(t, m.seen)
	requireSameBytes(t, m.storedBytes(t), vm.read(t, 0, nativeSize), "what the program reads")
}
