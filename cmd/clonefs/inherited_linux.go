package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// forgetInherited sees to it that no program that is started from here has what this
// one was started with, beyond the standard streams: a shell's open file on a mount
// would keep that busy for as long as a daemon lives.
func forgetInherited() {
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) // Linux 5.11; before, a daemon has what it was given
}
