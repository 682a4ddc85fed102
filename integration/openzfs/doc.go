// Package openzfs tests clonefs on real OpenZFS: on the machine's own where it has
// /dev/zfs, and otherwise in a virtual machine; see package guest. The tests make
// a pool of their own on a sparse file and touch no other.
package openzfs
