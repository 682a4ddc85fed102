package main

import "time"

// autoShutdown is how long VBoxSVC waits for another client before it ends by
// itself (5 s), and some more.
const autoShutdown = 7 * time.Second

// endServers waits until VBoxSVC has ended by itself.
func (v *virtualBox) endServers() error {
	time.Sleep(autoShutdown)
	return nil
}
