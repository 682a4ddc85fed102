package handover

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// A fakeMount knows a state and has descriptors, and counts what is done with it.
type fakeMount struct {
	handover fs.Handover
	err      error // of Suspend

	suspended, resumed, left atomic.Int32
}

func (m *fakeMount) Suspend(time.Duration) (*fs.Handover, error) {
	m.suspended.Add(1)
	return &m.handover, m.err
}
func (m *fakeMount) Resume() { m.resumed.Add(1) }
func (m *fakeMount) Leave()  { m.left.Add(1) }

// newMount makes a mount with open files, each of which holds its number.
func newMount(t *testing.T, files int) *fakeMount {
	t.Helper()
	m := &fakeMount{handover: fs.Handover{State: []byte("what is known")}}
	for i := range files {
		fd, err := unix.MemfdCreate("open", unix.MFD_CLOEXEC)
		require.NoError(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		_, err = unix.Write(fd, []byte(fmt.Sprint(i)))
		require.NoError(t, err)
		m.handover.Files = append(m.handover.Files, fd)
	}
	return m
}

// offered offers a mount for the time of the test.
func offered(t *testing.T, m *fakeMount, patience time.Duration) *Offer {
	t.Helper()
	o := offeredAt(t, filepath.Join(t.TempDir(), "socket"), m, patience)
	t.Cleanup(o.Close)
	return o
}

func offeredAt(t *testing.T, path string, m *fakeMount, patience time.Duration) *Offer {
	t.Helper()
	o := &Offer{mount: m, log: slog.New(slog.DiscardHandler), path: path, patience: patience, ended: make(chan struct{})}
	require.NoError(t, o.listen())
	return o
}

func (o *Offer) connect(t *testing.T) int {
	t.Helper()
	conn, pid, err := connectTo(o.path)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
	return conn
}

// requireServedOn waits until the mount is served on by the one that had it.
func (m *fakeMount) requireServedOn(t *testing.T, times int32) {
	t.Helper()
	require.Eventually(t, func() bool { return m.resumed.Load() == times }, 15*time.Second, time.Millisecond)
	require.Zero(t, m.left.Load())
}

// closeAll closes what has been received.
func closeAll(h *fs.Handover) {
	for _, fd := range h.Files {
		unix.Close(fd)
	}
}

func TestAMountIsHandedOverWithAllItsDescriptors(t *testing.T) {
	for _, files := range []int{0, 1, perPacket - 1, perPacket, 3*perPacket + 7} {
		t.Run(fmt.Sprint(files, " files"), func(t *testing.T) {
			m := newMount(t, files)
			o := offered(t, m, peerPatience)
			conn := o.connect(t)
			defer unix.Close(conn)
			require.NoError(t, take(conn, func(h *fs.Handover) error {
				defer closeAll(h)
				require.Equal(t, "what is known", string(h.State))
				require.Len(t, h.Files, files)
				for i, fd := range h.Files {
					content := make([]byte, 8)
					n, err := unix.Pread(fd, content, 0)
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(i), string(content[:n]))
				}
				require.Zero(t, m.left.Load(), "until the other is ready")
				return nil
			}))
			require.EqualValues(t, 1, m.left.Load())
			require.Zero(t, m.resumed.Load())
			require.Equal(t, os.Getpid(), o.Taker())
		})
	}
}

// takers are other processes that do not take a mount over, each by the step at which
// it fails.
var takers = []struct {
	name string
	take func(t *testing.T, conn int)
}{
	{"one that ends before it receives anything", func(*testing.T, int) {}},
	{"one that ends in the midst of the descriptors", func(t *testing.T, conn int) {
		var a announcement
		require.NoError(t, receiveMessage(conn, &a))
		some, err := receiveDescriptors(conn)
		require.NoError(t, err)
		closeAll(&fs.Handover{Files: some})
	}},
	{"one that ends when it has received all", func(t *testing.T, conn int) {
		h, err := receive(conn)
		require.NoError(t, err)
		closeAll(h)
	}},
	{"one that cannot go on from there", func(t *testing.T, conn int) {
		refused := errors.New("the flags differ")
		require.ErrorIs(t, take(conn, func(h *fs.Handover) error { closeAll(h); return refused }), refused)
	}},
	{"one that speaks in tongues", func(t *testing.T, conn int) {
		h, err := receive(conn)
		require.NoError(t, err)
		closeAll(h)
		require.NoError(t, unix.Send(conn, []byte("{"), 0))
		var refusal answer
		require.NoError(t, receiveMessage(conn, &refusal))
		require.NotEmpty(t, refusal.Error)
	}},
	{"one that is stopped before it receives, for longer than there is patience", func(*testing.T, int) {
		time.Sleep(3 * shortPatience) // only time tells
	}},
	{"one that is stopped before it is ready, for longer than there is patience", func(t *testing.T, conn int) {
		err := take(conn, func(h *fs.Handover) error { closeAll(h); time.Sleep(3 * shortPatience); return nil })
		require.ErrorContains(t, err, "wait until the other process is ready", "it is told that it must not serve")
	}},
}

const shortPatience = 100 * time.Millisecond

func TestWhoeverFailsToTakeAMountOverItIsServedOnAndTheNextOneCan(t *testing.T) {
	m := newMount(t, 2*perPacket)
	o := offered(t, m, shortPatience)
	for i, v := range takers {
		t.Run(v.name, func(t *testing.T) {
			conn := o.connect(t)
			v.take(t, conn)
			unix.Close(conn)
			m.requireServedOn(t, int32(i+1))
			require.Zero(t, o.Taker())
		})
	}
	conn := o.connect(t)
	defer unix.Close(conn)
	require.NoError(t, take(conn, func(h *fs.Handover) error { closeAll(h); return nil }))
	require.EqualValues(t, 1, m.left.Load())
}

func TestAMountThatCannotBeSuspendedIsServedOnAndTheOtherIsToldWhy(t *testing.T) {
	m := newMount(t, 0)
	m.err = errors.New("requests hang")
	o := offered(t, m, peerPatience)
	conn := o.connect(t)
	defer unix.Close(conn)
	require.ErrorContains(t, take(conn, nil), "requests hang")
	require.Zero(t, m.left.Load()+m.resumed.Load(), "Suspend has done nothing")
}

// As a process that died would, the other end closes the connection without a word: no
// process but this one can serve the mount.
func TestWhoIsReadyServesWhenTheOtherProcessHasDied(t *testing.T) {
	for name, says := range map[string]struct {
		end  func(conn int)
		want string
	}{
		"it died":              {func(int) {}, ""},
		"it has left":          {func(conn int) { _ = sendMessage(conn, answer{}) }, ""},
		"it goes on after all": {func(conn int) { _ = sendMessage(conn, answer{Error: "too late"}) }, "too late"},
		"it speaks in tongues": {func(conn int) { _ = unix.Send(conn, []byte("{"), 0) }, "unexpected end of JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			defer unix.Close(pair[0])
			go func() {
				var ready answer
				_ = receiveMessage(pair[1], &ready)
				says.end(pair[1])
				unix.Close(pair[1])
			}()
			err = agree(pair[0])
			if says.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, says.want)
			}
		})
	}
}

func TestADaemonThatDiesBeforeAllIsReceivedLeavesNobodyToServe(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(pair[0])
	require.NoError(t, sendMessage(pair[1], announcement{Descriptors: 5}))
	unix.Close(pair[1])
	require.ErrorContains(t, take(pair[0], nil), "it has ended")
}

// Two want the mount at once: one has it, and the other is told so.
func TestOfTwoAtOnceOneTakesTheMountOver(t *testing.T) {
	m := newMount(t, 3)
	o := offeredAt(t, filepath.Join(t.TempDir(), "socket"), m, peerPatience)
	conns := []int{o.connect(t), o.connect(t)} // before either is answered to the end
	errs := make([]error, len(conns))
	var both sync.WaitGroup
	for i, conn := range conns {
		both.Go(func() {
			errs[i] = take(conn, func(h *fs.Handover) error { closeAll(h); return nil })
			unix.Close(conn)
		})
	}
	go func() {
		for m.left.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		o.Close() // as the daemon does that has left
	}()
	both.Wait()
	failed := errs[0]
	if failed == nil {
		failed = errs[1]
	}
	require.ErrorContains(t, failed, "handed the mount to another process")
	require.True(t, errs[0] == nil || errs[1] == nil)
	require.EqualValues(t, 1, m.left.Load())
}

func TestASignalDoesNotEndAHandover(t *testing.T) {
	m := newMount(t, 0)
	o := offered(t, m, peerPatience)
	conn := o.connect(t)
	defer unix.Close(conn)
	require.NoError(t, take(conn, func(*fs.Handover) error {
		interruptThreads(t) // one of them waits in recvfrom(2) until this one is ready
		return nil
	}))
}

// interruptThreads sends each thread of this process a signal that the runtime takes
// for one of its own.
func interruptThreads(t *testing.T) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	for _, task := range tasks {
		var thread int
		_, err := fmt.Sscan(task.Name(), &thread)
		require.NoError(t, err)
		_ = unix.Tgkill(os.Getpid(), thread, syscall.SIGURG) // it may have ended
	}
}

func TestAnOfferThatEndsRemovesItsOwnSocketAndNoOther(t *testing.T) {
	m, path := newMount(t, 0), filepath.Join(t.TempDir(), "socket")
	offeredAt(t, path, m, peerPatience).Close()
	require.NoFileExists(t, path)

	unmounted := offeredAt(t, path, m, peerPatience)
	other := offeredAt(t, path, m, peerPatience) // a mount that has the device number now
	t.Cleanup(other.Close)
	unmounted.Close()
	conn := other.connect(t)
	defer unix.Close(conn)
	require.NoError(t, take(conn, func(*fs.Handover) error { return nil }))
}

func TestWhereNobodyOffersAMountItIsSaidWhy(t *testing.T) {
	_, _, err := connectTo(filepath.Join(t.TempDir(), "socket"))
	require.ErrorContains(t, err, "no daemon of this user offers it")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestADirectoryForSocketsIsOfOneUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sockets")
	require.NoError(t, makeOwn(dir))
	require.NoError(t, makeOwn(dir), "it is there already")
	require.NoError(t, os.Chmod(dir, 0o750))
	require.ErrorContains(t, makeOwn(dir), "not a directory of this user alone")
	link := filepath.Join(filepath.Dir(dir), "link")
	require.NoError(t, os.Chmod(dir, 0o700))
	require.NoError(t, os.Symlink(dir, link))
	require.ErrorContains(t, makeOwn(link), "not a directory of this user alone")
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(dir, 65534, 0))
		require.ErrorContains(t, makeOwn(dir), "not a directory of this user alone")
	}
}
