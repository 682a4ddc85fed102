//go:build linux

package integration

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/integration/faulty"
)

// hangs are what a client does when the file system below hangs, as NFS does while
// its server is away. $vm is the volume.
var hangs = []struct {
	name   string
	op     faulty.Op
	script string
}{
	{"read", faulty.Read, `exec cat "$vm/disk.vdi"`},
	{"direct read", faulty.Read, `exec dd if="$vm/disk.vdi" bs=512 iflag=direct status=none`},
	{"write", faulty.Write, `exec dd if=/dev/zero of="$vm/disk.vdi" bs=4096 count=1 seek=1 conv=notrunc status=none`},
	{"direct write", faulty.Write, `exec dd if=/dev/zero of="$vm/disk.vdi" bs=4096 count=1 seek=1 oflag=direct conv=notrunc status=none`},
	{"fsync", faulty.Fsync, `exec dd if=/dev/zero of="$vm/disk.vdi" bs=4096 count=1 seek=1 conv=notrunc,fsync status=none`},
	{"open", faulty.Open, `exec cat "$vm/disk.vdi"`},
	{"lookup", faulty.Lookup, `exec stat "$vm/disk.vdi"`},
	{"create", faulty.Create, `exec touch "$vm/new"`},
	{"list", faulty.ReadDir, `exec ls "$vm"`},
	{"mkdir", faulty.Mkdir, `exec mkdir "$vm/new"`},
}

func TestAClientThatIsKilledNeedNotWaitForAFileSystemThatHangs(t *testing.T) {
	for _, v := range hangs {
		t.Run(v.name, func(t *testing.T) { t.Parallel(); endHanging(t, v.op, v.script, syscall.SIGKILL) })
	}
	t.Run("a program that is ended", func(t *testing.T) { t.Parallel(); endHanging(t, hangs[0].op, hangs[0].script, syscall.SIGTERM) })
}

// endHanging ends a client while a call of its hangs.
func endHanging(t *testing.T, op faulty.Op, script string, signal syscall.Signal) {
	m := mountOverFaulty(t)
	held := m.lower.Hold(op, 1)
	client := m.run(t, script)
	within(t, held.Arrived)

	require.NoError(t, client.Process.Signal(signal))
	require.Equal(t, signal, within(t, client.ended).Sys().(syscall.WaitStatus).Signal())

	_, err := os.ReadFile(filepath.Join(m.dir, "sound", "disk.vdi"))
	require.NoError(t, err, "another volume")
	if op == faulty.Read || op == faulty.Write || op == faulty.Fsync {
		time.Sleep(100 * time.Millisecond) // nothing is there to wait for: nothing must come of it
		require.NotEmpty(t, descriptorsBelow(t, m.lower.Dir), "the file is not closed under the call")
	}
	held.Answers <- 0
	require.Eventually(t, func() bool { return len(descriptorsBelow(t, m.lower.Dir)) == 0 },
		cliPatience, 10*time.Millisecond, "what the client would have got is given back")
	got, err := os.ReadFile(m.path("disk.vdi"))
	require.NoError(t, err, "the volume is well again")
	require.NotEmpty(t, got)
}

func TestASignalThatAProgramHandlesEndsNoWriteOfIts(t *testing.T) {
	t.Parallel()
	m := mountOverFaulty(t)
	held := m.lower.Hold(faulty.Write, 1)
	f := m.open(t, "disk.vdi", os.O_RDWR)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	defer signal.Stop(signals)
	threads, errs := make(chan int, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		threads <- unix.Gettid()
		_, err := unix.Pwrite(int(f.Fd()), make([]byte, 4096), 4096)
		errs <- err
	}()
	thread := within(t, threads)
	within(t, held.Arrived)
	for range 25 { // nothing is there to wait for: nothing must come of it
		require.NoError(t, unix.Tgkill(os.Getpid(), thread, unix.SIGUSR1))
		time.Sleep(100 * time.Millisecond)
	}
	held.Answers <- 0
	require.NoError(t, within(t, errs))
}

// A clientProcess is a program that uses a mount.
type clientProcess struct {
	*exec.Cmd
	ended chan *os.ProcessState
}

// run starts a shell script that ends with the test.
func (m *faultyMount) run(t *testing.T, script string) *clientProcess {
	t.Helper()
	c := &clientProcess{exec.Command("sh", "-c", script), make(chan *os.ProcessState, 1)}
	c.Env = append(os.Environ(), "vm="+filepath.Join(m.dir, "vm"))
	c.Stderr = &strings.Builder{}
	require.NoError(t, c.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Wait() // its state says how it ended
		c.ended <- c.ProcessState
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		m.lower.Heal()
		<-done
	})
	return c
}

// descriptorsBelow are the paths below dir that this process has open.
func descriptorsBelow(t *testing.T, dir string) (paths []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, entry := range entries {
		if path, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(path, dir+"/") {
			paths = append(paths, path)
		}
	}
	return paths
}
