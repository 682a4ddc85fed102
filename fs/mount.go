package fs

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	gofuse "github.com/hanwen/go-fuse/v2/fs"
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
	server     kernel
	mountpoint string
	mirror     *mirror
	stop       context.CancelFunc
	watched    chan struct{} // closed when the source is not watched any more
}

// A kernel is the connection with the kernel that requests come by.
type kernel interface {
	Unmount() error
	Wait()
}

// Mount mounts the source's volumes at mountpoint and serves them until the
// file system is unmounted. When it returns, the mount answers.
//
// It sets the umask of the process to 0: the clients' own are applied, and
// nothing else may be.
func Mount(mountpoint string, source Source, options Options) (*Server, error) {
	unix.Umask(0)
	m := newMirror(source, options)
	server, err := m.connect(mountpoint, m.fuseOptions())
	if err != nil {
		return nil, fmt.Errorf("mount at %s: %w", mountpoint, err)
	}
	if err := m.native.enable(server); err != nil {
		m.log.Warn("no native I/O: it needs Linux 6.9 or newer and root (CAP_SYS_ADMIN); all programs have the mapped view", "error", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		m.watch(ctx)
	}()
	return &Server{server, mountpoint, m, stop, watched}, nil
}

// rawFileSystem is what answers requests: the tree of nodes, and raw before it.
func (m *mirror) rawFileSystem(options *gofuse.Options) *raw {
	return &raw{
		RawFileSystem: gofuse.NewNodeFS(m.root, options),
		mirror:        m,
		names:         nameLocks{byDir: map[uint64]*nameLock{}},
		managed:       m.options.Manager != nil,
	}
}

func (m *mirror) fuseOptions() *gofuse.Options {
	logger := slog.NewLogLogger(m.log.Handler(), slog.LevelDebug)
	// Names are looked up each time, so that what happens to volumes and
	// files behind the mount is seen at once. Attributes may be a second
	// old, but a lookup brings new ones.
	var always time.Duration
	second := time.Second
	return &gofuse.Options{
		MountOptions:    m.mountOptions(logger),
		EntryTimeout:    &always,
		NegativeTimeout: &always,
		AttrTimeout:     &second,
		NullPermissions: true, // a mode of 000 is a mode
		RootStableAttr:  &gofuse.StableAttr{Ino: rootInode, Gen: 1},
		Logger:          logger,
	}
}

func (m *mirror) mountOptions(logger *log.Logger) fuse.MountOptions {
	// The kernel checks permissions by what the mount shows: otherwise a
	// root daemon would do everybody's bidding.
	options := append([]string{"default_permissions"}, m.options.MountOptions...)
	if m.options.ReadOnly {
		options = append(options, "ro")
	}
	return fuse.MountOptions{
		Name:              FilesystemName,
		FsName:            cmp.Or(m.options.FsName, FilesystemName),
		AllowOther:        m.options.AllowOther,
		Options:           options,
		DirectMountStrict: os.Geteuid() == 0,
		MaxWrite:          1 << 20,
		MaxBackground:     128,
		EnableAcl:         true,
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
	if err := s.server.Unmount(); err != nil {
		return fmt.Errorf("unmount %s: %w", s.mountpoint, err)
	}
	return nil
}

// Wait returns when the file system has been unmounted, by whomever, and nothing
// of the source is in use any more.
func (s *Server) Wait() {
	s.server.Wait()
	s.stop()
	<-s.watched
	s.mirror.discard()
}
