package main

import (
	"os"
	"runtime"
)

// spareProcessors lets the Go runtime have two processors more than there are, unless
// the user has said how many it may have.
//
// A worker that waits for a request holds one, in the runtime's eyes. Where there is
// none left the runtime looks every 20 microseconds whether it should take it away
// (sysmon and retake of runtime/proc.go), which costs a tenth of all the daemon's
// processor time while requests come. As long as there is one left it does not look.
func spareProcessors() {
	const spare = 2
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spare)
	}
}
