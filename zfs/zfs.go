// Package zfs knows the file systems at and below a dataset: their names and
// identities, which the zfs program tells, and where they are mounted, which the
// kernel's table of mounts tells.
//
// [Source] joins the two, keeps what it knows in memory, and notices a new mount
// the moment it is made. [Command] is the zfs program.
//
// Nothing in this package touches a mount point: not one of them may be kept busy,
// and one of them may be the mount that is served by this very process.
package zfs
