// Package zfs knows the file systems at and below a dataset: their names and
// identities, which the zfs program tells, and where they are mounted, which the
// kernel's table of mounts tells.
//
// [Source] joins the two, keeps what it knows in memory, and notices a new mount
// the moment it is made. [Command] is the zfs program; it also makes clones,
// destroys and renames them.
//
// It does not go through a library: github.com/mistifyio/go-zfs takes no context
// and has one time limit for a whole program, tells what is wrong in words only
// and in the user's language, and clones with -p, which makes the parents of a
// name that was mistyped.
//
// Nothing in this package touches a mount point: not one of them may be kept busy,
// and one of them may be the mount that is served by this very process.
package zfs
