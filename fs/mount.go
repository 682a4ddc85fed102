package fs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

// FilesystemName is the part after "fuse." of the mount's type in /proc/mounts.
const FilesystemName = "clonefs"

// Options says how a mount behaves.
type Options struct {
	// FsName is what /proc/mounts shows as the source, "dir:/srv/vm"; left
	// empty it is FilesystemName.
	FsName string
	// AllowOther lets users other than the daemon's owner in.
	AllowOther bool
	// ReadOnly refuses every change to every volume.
	ReadOnly bool
	// MountOptions are further options of mount(8) for the mount itself:
	// noexec, dev, suid and the like. Without them it is nodev and nosuid.
	MountOptions []string
	// Manager makes, destroys and renames volumes for clients that make,
	// remove and rename directories at the top; nil refuses them.
	Manager Manager
	// Top overrides owner and mode of the top directory, and with them who
	// may use the Manager; nil shows the source's own.
	Top *Ownership
	// GuestSerial says whether the disk serial that a guest sees is kept.
	GuestSerial vdi.GuestSerial
	// NativeIO names programs that read and write stored images directly, by
	// their file names, or by their paths where they contain a slash. They
	// see the stored UUIDs.
	NativeIO []string
	// Logger receives what the user should know; nil discards it.
	Logger *slog.Logger
	// Debug logs every request.
	Debug bool
}

// A Server is a mounted clonefs.
type Server struct {
	mountpoint string
	mirror     *mirror
	stop       context.CancelFunc
	watched    chan struct{} // closed when the source is not watched any more
	left       atomic.Bool   // to another process
}

// A kernel is the connection with the kernel that requests come by.
type kernel interface {
	Unmount() error
	Wait()
	// DeleteNotify and EntryNotify make the kernel forget a name in a directory,
	// the former with those who watch the directory hearing of it.
	DeleteNotify(dir, child uint64, name string) fuse.Status
	EntryNotify(dir uint64, name string) fuse.Status
}

// Mount mounts the source's volumes at mountpoint and serves them until the
// file system is unmounted. When it returns, the mount answers.
//
// It sets the umask of the process to 0: the clients' own are applied, and
// nothing else may be.
func Mount(mountpoint string, source Source, options Options) (*Server, error) {
	unix.Umask(0)
	m := newMirror(source, options)
	m.fill()
	if err := m.connect(mountpoint, m.mountOptions()); err != nil {
		return nil, fmt.Errorf("mount at %s: %w", mountpoint, err)
	}
	m.enableNative()
	return m.serve(mountpoint), nil
}

func (m *mirror) enableNative() {
	if err := m.native.enable(m.kernel); err != nil {
		m.log.Warn("no native I/O: it needs Linux 6.9 or newer and root (CAP_SYS_ADMIN); all programs have the mapped view", "error", err)
	}
}

// serve follows the source while requests are answered.
func (m *mirror) serve(mountpoint string) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{mountpoint: mountpoint, mirror: m, stop: stop, watched: make(chan struct{})}
	go func() {
		defer close(s.watched)
		m.watch(ctx)
	}()
	return s
}

func (m *mirror) mountOptions() *fuse.MountOptions {
	logger := slog.NewLogLogger(m.log.Handler(), slog.LevelDebug)
	// The kernel checks permissions by what the mount shows: otherwise a
	// root daemon would do everybody's bidding.
	options := append([]string{"default_permissions"}, m.options.MountOptions...)
	if m.options.ReadOnly {
		options = append(options, "ro")
	}
	return &fuse.MountOptions{
		Name:              FilesystemName,
		FsName:            cmp.Or(m.options.FsName, FilesystemName),
		AllowOther:        m.options.AllowOther,
		Options:           options,
		DirectMountStrict: os.Geteuid() == 0,
		MaxWrite:          1 << 20,
		MaxBackground:     128,
		EnableAcl:         true,
		// As names are looked up each time, what a listing told of them would be
		// asked again.
		DisableReadDirPlus: true,
		// Asynchronous direct I/O is how VirtualBox reads and writes a disk.
		ExtraCapabilities:    fuse.CAP_ASYNC_DIO | fuse.CAP_DONT_MASK | fuse.CAP_SETXATTR_EXT | handlesPrivileges,
		DisabledCapabilities: m.native.disabledCapabilities(),
		MaxStackDepth:        1, // of native I/O: the stored file is no stacked file system's
		PanicHandler:         m.recovered,
		Logger:               logger,
		Debug:                m.options.Debug,
	}
}

// Unmount unmounts. It returns an error matching syscall.EBUSY while a file or
// a working directory beneath the mount point is in use; the mount goes on then.
func (s *Server) Unmount() error {
	if err := s.mirror.kernel.Unmount(); err != nil {
		return fmt.Errorf("unmount %s: %w", s.mountpoint, err)
	}
	return nil
}

// Wait returns when the file system has been unmounted, by whomever, and nothing
// of the source is in use any more, or when it has been left to another process.
func (s *Server) Wait() {
	s.mirror.kernel.Wait()
	s.stop()
	<-s.watched
	if !s.left.Load() {
		s.mirror.discard()
	}
}
