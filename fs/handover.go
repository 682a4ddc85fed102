package fs

// A Handover is all that a process must know to go on serving a mount in the place of
// another: what the kernel has been told, by numbers that it will use, and what these
// stand for. Neither the kernel nor a client notices. Locks on files are the kernel's
// own.
type Handover struct {
	// State is what is known, encoded.
	State []byte
	// Files are the descriptors that State speaks of, by their place here.
	Files []int
}
