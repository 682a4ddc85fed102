package fs

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// A callStack says where a panic has come from. The top of a stack tells enough
// to know it again.
type callStack [32]uintptr

// recovered answers a request whose handler has panicked with p. It is called by
// the function that was deferred, while the stack of the panic is still there.
// That stack is logged once: a client may repeat its request for ever.
func (m *mirror) recovered(p any) fuse.Status {
	var where callStack
	runtime.Callers(1, where[:])
	level := slog.LevelError
	if _, known := m.panics.LoadOrStore(where, nil); known {
		level = slog.LevelDebug
	}
	m.log.Log(context.Background(), level, "a request has met a bug of clonefs and is answered with EIO; the mount goes on. Please report this",
		"panic", p, "stack", string(debug.Stack()))
	return fuse.EIO
}
