package connection

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// aside runs what asks the connection's own mount for something, in a thread that does
// not have the device.
//
// Such a request has no end if the process is killed while it is in work: the thread
// waits for the answer, the process for the thread, and the kernel, to let go of the
// request, for the last descriptor of the device to be closed. A thread with a table of
// descriptors of its own keeps none open.
func (c *Connection) aside(ask func()) {
	// What the runtime opens when it is first needed (its poller, with the first timer)
	// must be every thread's.
	time.Sleep(time.Nanosecond)
	inOtherThread(func() {
		if unix.Unshare(unix.CLONE_FILES) == nil {
			unix.Close(c.device)
		}
		ask()
	})
}

// inOtherThread runs do in a thread that ends with it. That is not the first thread,
// which cannot end, and whose descriptors are what others see of the process.
func inOtherThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			inOtherThread(do) // while this one is taken
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	<-done
}
