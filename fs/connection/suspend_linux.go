package connection

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A mount can be passed on to another process: what makes a mount is the open device,
// which can be sent through a socket, and what was agreed on in the kernel's first
// request and its answer. Requests that come while nobody reads them wait in the
// kernel, and so do their clients.

// Agreement is the kernel's first request, and the answer to it, as they were on the
// wire.
type Agreement struct {
	Request, Answer []byte
}

var (
	errBusy  = errors.New("requests are in work that do not come to an end: a file system below may hang")
	errOther = errors.New("this version of the program makes other use of the protocol than what was agreed on with the kernel")
)

// Suspend stops the workers. When it returns, no request is in work, and those that
// come wait in the kernel. Where some do not come to an end in time, and where the
// file system has been unmounted, it returns an error, and has done nothing.
func (c *Connection) Suspend(patience time.Duration) error {
	gone := c.crew.allGone()
	c.suspended.Store(true)
	ended := make(chan struct{})
	defer close(ended)
	go c.aside(func() { c.wake(ended) })
	select {
	case <-gone:
	case <-time.After(patience):
		c.Resume()
		return errBusy
	}
	if c.ended.Load() {
		return fmt.Errorf("serve %s: %w", c.mountpoint, syscall.ENODEV)
	}
	return nil
}

// wake sends the workers requests until Suspend has ended. Each brings one of them back
// from waiting for one. The last one is mostly answered by whoever serves the mount then.
func (c *Connection) wake(ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		default:
			_ = unix.Access(filepath.Join(c.mountpoint, ownName), unix.F_OK)
			time.Sleep(time.Millisecond) // the path may lead elsewhere by now
		}
	}
}

// Resume sets workers to work again.
func (c *Connection) Resume() {
	c.suspended.Store(false)
	c.work()
}

// Device returns the device of a connection that is suspended, and what was agreed on.
func (c *Connection) Device() (device int, agreed Agreement) { return c.device, c.agreed }

// Leave ends a connection that is suspended, and served by another process now.
//
// It does not wait until the device is closed: a message to the kernel may be under way
// that waits for a directory, which a client holds until the other process answers.
func (c *Connection) Leave() {
	go c.close()
	c.end()
}

// Adopt takes over a connection that another process had, suspended as it was there.
// When it returns an error it has done nothing.
func (c *Connection) Adopt(mountpoint string, fs FileSystem, device int, agreed Agreement) error {
	c.attach(mountpoint, fs)
	answer := make([]byte, minBuffer)
	size, status := c.protocol.HandleRequest([][]byte{slices.Clone(agreed.Request)}, [][]byte{answer})
	if !status.Ok() || !slices.Equal(answer[:size], agreed.Answer) {
		return errOther
	}
	c.device, c.agreed = device, agreed
	c.suspended.Store(true)
	go c.watch()
	return nil
}
