package handover

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

// A Mount is what can be handed over; see fs.Server.
type Mount interface {
	Suspend(patience time.Duration) (*fs.Handover, error)
	Resume()
	Leave()
}

const (
	// requestPatience is how long requests that are in work may take: clients wait
	// meanwhile.
	requestPatience = 10 * time.Second
	// peerPatience is how long the other process may take for a step.
	peerPatience = 30 * time.Second
)

// An Offer is a mount's socket, on which others can ask for it.
type Offer struct {
	mount    Mount
	log      *slog.Logger
	path     string
	inode    uint64 // of path, as long as that is this offer's
	socket   int
	patience time.Duration // see peerPatience
	ended    chan struct{}

	mu    sync.Mutex
	taker int // the process that has taken the mount over
}

// answer is what the other process says in the second step, and this one in the third.
type answer struct {
	Error string `json:"error,omitempty"` // "" for yes
}

// Listen offers a mount to other processes, until Close is called or one has taken it.
func Listen(mountpoint string, mount Mount, log *slog.Logger) (*Offer, error) {
	device, err := deviceOf(mountpoint)
	if err != nil {
		return nil, err
	}
	path, err := place(device)
	if err != nil {
		return nil, err
	}
	o := &Offer{mount: mount, log: log, path: path, patience: peerPatience, ended: make(chan struct{})}
	return o, o.listen()
}

func (o *Offer) listen() (err error) {
	if o.socket, err = listen(o.path); err == nil {
		o.inode, err = inodeOf(o.path)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", o.path, err)
	}
	go o.serve()
	return nil
}

func inodeOf(path string) (uint64, error) {
	var s unix.Stat_t
	err := unix.Lstat(path, &s)
	return s.Ino, err
}

// listen makes the socket. What has its path is of a mount that is no more, or of the
// process that this one has the mount from.
func listen(path string) (int, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return -1, err
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := errors.Join(unix.Bind(socket, &unix.SockaddrUnix{Name: path}), unix.Listen(socket, 1)); err != nil {
		unix.Close(socket)
		return -1, err
	}
	return socket, nil
}

// Taker returns the process that has taken the mount over, 0 if none has.
func (o *Offer) Taker() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.taker
}

// Close ends the offer. The path is another's if the mount has been taken, and also if
// it has been unmounted and another one has its device number already.
func (o *Offer) Close() {
	if inode, err := inodeOf(o.path); err == nil && inode == o.inode {
		_ = os.Remove(o.path) // the next one to listen removes it, too
	}
	_ = unix.Shutdown(o.socket, unix.SHUT_RDWR) // wakes serve
	<-o.ended
	unix.Close(o.socket)
}

func (o *Offer) serve() {
	defer close(o.ended)
	for o.Taker() == 0 {
		conn, _, err := unix.Accept4(o.socket, unix.SOCK_CLOEXEC)
		switch {
		case err == unix.EINTR || err == unix.ECONNABORTED:
			continue
		case err != nil:
			return
		}
		o.answer(conn)
		unix.Close(conn)
	}
}

// answer hands the mount over to the process at the other end of a connection.
func (o *Offer) answer(conn int) {
	pid, err := peer(conn)
	if err != nil {
		o.log.Warn("the mount is not for everybody to take over", "error", err)
		return
	}
	o.log.Info("another process takes the mount over", "process", pid)
	if err := o.handOver(conn, pid); err != nil {
		o.log.Error("the mount was not taken over, and is served on", "process", pid, "error", err)
		_ = sendMessage(conn, answer{Error: err.Error()}) // the process may be gone
	}
}

func (o *Offer) handOver(conn, pid int) error {
	h, err := o.mount.Suspend(requestPatience)
	if err != nil {
		return err
	}
	if err := o.pass(conn, h); err != nil {
		o.mount.Resume()
		return err
	}
	o.mu.Lock()
	o.taker = pid
	o.mu.Unlock()
	o.mount.Leave()
	_ = sendMessage(conn, answer{}) // there is no way back
	return nil
}

// pass sends what is known and waits until the other process is ready.
func (o *Offer) pass(conn int, h *fs.Handover) error {
	if err := setPatience(conn, o.patience); err != nil {
		return err
	}
	if err := send(conn, h); err != nil {
		return err
	}
	var ready answer
	if err := receiveMessage(conn, &ready); err != nil {
		return fmt.Errorf("wait until the other process is ready: %w", err)
	}
	if ready.Error != "" {
		return errors.New(ready.Error)
	}
	return nil
}

// setPatience sets how long sending and receiving may take.
func setPatience(socket int, patience time.Duration) error {
	t := unix.NsecToTimeval(patience.Nanoseconds())
	return errors.Join(
		os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t)),
		os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &t)))
}
