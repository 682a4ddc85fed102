package connection

import "sync"

// A crew counts the workers that are at work. Unlike a sync.WaitGroup it can be
// waited for by several, and begin again while some of them still wait.
type crew struct {
	mu    sync.Mutex
	count int
	gone  chan struct{} // closed when the last one leaves
}

func (c *crew) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == 0 {
		c.gone = make(chan struct{})
	}
	c.count++
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count--; c.count == 0 {
		close(c.gone)
	}
}

// allGone returns a channel that is closed when those who have joined have left.
func (c *crew) allGone() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}
