// Package handover passes a mount from the process that serves it to another one: a
// newer version of the program, mostly.
//
// A daemon listens on a socket in a directory that only its user can enter. Who wants
// to take the mount over connects; the daemon then
//
//  1. stops answering requests and sends what it knows, with all its descriptors;
//  2. waits until the other process says that it is ready to go on from there;
//  3. leaves the mount, and says so. From then on the other process serves it.
//
// Whatever goes wrong before the third step, the daemon goes on, so that at any time
// one process serves the mount and no more than one.
//
// Messages are JSON, each a packet of its own (SOCK_SEQPACKET of unix(7)). What the
// daemon knows may be large and comes in a file without a name, the first of the
// descriptors.
package handover
