package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// endSignals are those that ask a program to end.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

// untilSignal returns a context that is done when a signal asks the program to end,
// which does not end it by itself until stop is called.
func untilSignal(ctx context.Context) (_ context.Context, stop context.CancelFunc) {
	return signal.NotifyContext(ctx, endSignals...)
}
