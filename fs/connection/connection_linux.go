package connection

import (
	"errors"
	"fmt"
	"log"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A FileSystem is what requests are answered by.
type FileSystem interface {
	fuse.RawFileSystem

	// ReadFile reads an open file into dest and returns how many bytes it
	// read, fewer than asked for only where the file ends.
	ReadFile(in *fuse.ReadIn, dest []byte) (int, fuse.Status)

	// SpliceFrom returns a descriptor from which splice(2) takes just what
	// ReadFile would read, as long as the file is open; or -1.
	SpliceFrom(in *fuse.ReadIn) (fd int)

	// WriteFile writes to an open file and returns how many bytes it wrote.
	WriteFile(in *fuse.WriteIn, data []byte) (int, fuse.Status)
}

// A Connection is a mount's connection with the kernel.
type Connection struct {
	options fuse.MountOptions
	log     *log.Logger

	fs         FileSystem
	protocol   *fuse.ProtocolServer
	mountpoint string

	device int           // /dev/fuse, once mounted
	agreed Agreement     // with the kernel
	using  sync.RWMutex  // held for reading by whoever uses device and is no worker
	closed bool          // guarded by using
	served chan struct{} // closed when nobody will serve any more
	end    func()        // closes served

	workers   roster
	crew      crew
	idle      atomic.Int32 // workers that wait for a request
	maxIdle   int32
	suspended atomic.Bool // workers do not wait for requests
	ended     atomic.Bool // there are no more requests
	unspliced atomic.Bool // answers cannot be spliced
}

// New returns a connection that is not mounted yet. Of the options it takes those
// that concern the mount and the protocol.
func New(options fuse.MountOptions) *Connection {
	if options.PanicHandler == nil {
		options.PanicHandler = func(any) fuse.Status { return fuse.EIO }
	}
	served := make(chan struct{})
	return &Connection{
		options: options,
		log:     options.Logger,
		served:  served,
		end:     sync.OnceFunc(func() { close(served) }),
		maxIdle: int32(max(2, runtime.NumCPU())),
	}
}

// Mount mounts fs and serves it until it is unmounted. When it returns, the mount
// answers.
func (c *Connection) Mount(mountpoint string, fs FileSystem) error {
	c.attach(mountpoint, fs)
	device, err := mount(mountpoint, &c.options)
	if err != nil {
		return err
	}
	c.device = device
	if err := c.initialize(); err != nil {
		unix.Close(device)
		return errors.Join(err, detach(mountpoint))
	}
	c.work()
	go c.watch()
	c.aside(func() {
		refusePolling(mountpoint)
		err = raiseReadAhead(mountpoint)
	})
	if err != nil {
		c.log.Printf("the kernel reads files on the mount with its usual readahead: %v", err)
	}
	return nil
}

func (c *Connection) attach(mountpoint string, fs FileSystem) {
	c.fs, c.mountpoint = fs, mountpoint
	c.protocol = fuse.NewProtocolServer(fs, &c.options)
}

// initialize answers the kernel's first request, which settles the protocol.
func (c *Connection) initialize() error {
	w := c.workers.take(c)
	defer c.workers.giveBack(w)
	n, err := w.read()
	if err != nil {
		return fmt.Errorf("read the kernel's first request: %w", err)
	}
	c.agreed.Request = slices.Clone(w.in[:n]) // which go-fuse may change
	w.answer(n)
	c.agreed.Answer = slices.Clone(w.out[:w.outHeader().Length])
	return nil
}

// work sets workers to work, until they are suspended or there are no more requests.
func (c *Connection) work() {
	for range c.maxIdle {
		c.hire()
	}
	gone := c.crew.allGone()
	go func() {
		<-gone
		if c.ended.Load() {
			c.close()
			c.end()
		}
	}()
}

// hire sets a worker to work.
func (c *Connection) hire() {
	c.idle.Add(1)
	c.crew.join()
	go c.workers.take(c).run()
}

// Unmount unmounts. It returns an error matching syscall.EBUSY while something on
// the mount is in use; the mount goes on then.
func (c *Connection) Unmount() error {
	if err := unmount(c.mountpoint); err != nil {
		return err
	}
	c.Wait()
	return nil
}

// Wait returns when the file system has been unmounted, by whomever.
func (c *Connection) Wait() { <-c.served }

// close closes the device, the first time that it is called: where workers that were
// to be suspended did not leave, several wait for them.
func (c *Connection) close() {
	c.workers.closePipes()
	c.using.Lock()
	defer c.using.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	unix.Close(c.device)
}

// use runs a system call on the device, unless that is closed.
func (c *Connection) use(call func(device int) error) error {
	c.using.RLock()
	defer c.using.RUnlock()
	if c.closed {
		return syscall.ENODEV
	}
	return call(c.device)
}
