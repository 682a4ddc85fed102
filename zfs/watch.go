package zfs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// describeMost is the greatest number of file systems that zfs is asked of by name;
// from there on all are listed.
const describeMost = 64

// Watch keeps the source up to date and calls changed, from one goroutine, when
// its volumes have changed. It returns nil when ctx is done, and otherwise why it
// cannot watch. It is to be called once.
func (s *Source) Watch(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	// Datasets are renamed without the table's telling: it is read in any case.
	running.Go(func() { cancel(s.table.watch(ctx, s.times.look, func() { s.look(true) })) })
	running.Go(func() { s.ask(ctx) })
	if s.peek != nil {
		running.Go(func() { s.followSnapshots(ctx) })
	}
	for {
		select {
		case <-s.moved:
			changed()
		case <-ctx.Done():
			running.Wait()
			return failure(context.Cause(ctx))
		}
	}
}

// failure is what ended the watching, but for its being told to end.
func failure(cause error) error {
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return nil
	}
	return cause
}

// ask asks zfs when there is something to ask, and of everything from time to
// time, until ctx is done.
func (s *Source) ask(ctx context.Context) {
	s.setAsking(true)
	defer s.setAsking(false)
	refresh := time.NewTimer(s.times.refresh)
	for {
		all := false
		select {
		case <-ctx.Done():
			return
		case <-refresh.C:
			all = true
		case <-s.unsure:
		}
		began := time.Now()
		s.askUntilAnswered(ctx, all)
		if all {
			// Listing must not become all that is done where it takes long.
			refresh.Reset(max(s.times.refresh, 10*time.Since(began)))
		}
	}
}

// askUntilAnswered asks zfs, and again after a pause that grows, of everything,
// when it failed.
func (s *Source) askUntilAnswered(ctx context.Context, all bool) {
	err := s.askOnce(ctx, all)
	for pause := s.times.retry; err != nil && ctx.Err() == nil; pause = min(2*pause, s.times.retries) {
		s.log.Log(ctx, s.levelOfFailure(), "zfs does not tell of file systems; what is known is served, new ones are not",
			"dataset", s.dataset, "error", err, "next try", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		err = s.askOnce(ctx, true)
	}
}

// levelOfFailure is that of a warning once, until zfs has answered again.
func (s *Source) levelOfFailure() slog.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warned {
		return slog.LevelDebug
	}
	s.warned = true
	return slog.LevelWarn
}

// askOnce asks zfs of what is new or doubted, or of everything, and takes over
// what it says. Who waits is told when that is done, or as soon as it takes long.
func (s *Source) askOnce(ctx context.Context, all bool) error {
	names := s.names()
	if !all && len(names) == 0 && len(s.dueSnapshots()) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.times.answer)
	defer cancel()
	asked := s.beginAsking()
	defer time.AfterFunc(s.times.wait, func() { s.endWaiting(asked) }).Stop()
	// A zfs that hangs in the kernel never returns: another must say so.
	defer time.AfterFunc(s.times.answer+2*killedWait, func() {
		s.log.Error("zfs hangs and cannot be ended; new file systems are not seen until it has", "dataset", s.dataset)
	}).Stop()
	err := s.askFileSystems(ctx, names, all)
	if err == nil && s.peek != nil {
		err = s.askSnapshots(ctx, all)
	}
	s.endAsking(err)
	return err
}

func (s *Source) askFileSystems(ctx context.Context, names []string, all bool) error {
	switch {
	case all, len(names) > describeMost:
		return s.list(ctx)
	case len(names) == 0:
		return nil
	}
	return s.describe(ctx, names)
}

// list asks of everything. That the dataset is not there is an answer: its pool
// may have been exported, and come back.
func (s *Source) list(ctx context.Context) error {
	before := s.mounted()
	told, err := s.lister.List(ctx, s.dataset)
	if err != nil && !errors.Is(err, ErrNotExist) {
		return err
	}
	s.learn(told, before)
	return nil
}

// describe asks of some file systems by their names.
func (s *Source) describe(ctx context.Context, names []string) error {
	before := s.mounted()
	maps.DeleteFunc(before, func(_ uint64, name string) bool { return !slices.Contains(names, name) })
	told, err := s.lister.Describe(ctx, names...)
	if err != nil {
		return err
	}
	s.learn(told, before)
	return nil
}

// setAsking says whether there is somebody who asks zfs.
func (s *Source) setAsking(asking bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking = asking
	s.wakeWaiting()
}

// beginAsking returns a number for endWaiting.
func (s *Source) beginAsking() (asked uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.asked
}

// endWaiting lets nobody wait for zfs, until it answers, if it is still being asked
// what it was then.
func (s *Source) endWaiting(asked uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == asked {
		s.silent = true
		s.wakeWaiting()
	}
}

// endAsking notes that zfs has answered or failed.
func (s *Source) endAsking(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.silent = err != nil
	if err == nil && s.warned {
		s.warned = false
		s.log.Info("zfs answers again", "dataset", s.dataset)
	}
	s.wakeWaiting()
}

// wakeWaiting makes everybody who waits look again. The lock is held.
func (s *Source) wakeWaiting() {
	close(s.told)
	s.told = make(chan struct{})
}
