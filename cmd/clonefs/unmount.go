package main

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

const unmountHelp = `Unmount the clonefs on the directory MOUNTPOINT.

While a file or a working directory on the mount is in use it stays, and the
command says who uses it. With --lazy the mount is out of sight at once, and its
daemon ends when the last file is closed. A dead mount, whose daemon was killed,
is unmounted too, whoever uses it. A mount of another file system is left alone.
`

func newUnmountCommand() *cobra.Command {
	var lazy bool
	command := &cobra.Command{
		Use:               "unmount [flags] MOUNTPOINT",
		Aliases:           []string{"umount"},
		Short:             "Unmount a tree of clones",
		Long:              unmountHelp + "\n" + exitHelp,
		Example:           "  clonefs unmount /mnt/vm\n  clonefs unmount --lazy /mnt/vm",
		Args:              cobra.ExactArgs(1),
		RunE:              func(_ *cobra.Command, args []string) error { return unmount(args[0], lazy) },
		ValidArgsFunction: completeMountpoints,
	}
	command.Flags().BoolVarP(&lazy, "lazy", "z", false, "take the mount out of sight now, and end it when nothing uses it any more")
	return command
}

func unmount(path string, lazy bool) error {
	mountpoint, mounted, err := resolveMountpoint(path)
	if err != nil {
		return explainMountpoint(path, err)
	}
	table, err := mounts.Read()
	if err != nil {
		return err
	}
	if mounted == nil {
		return refuseUnmount(table, mountpoint)
	}
	err = mounts.Unmount(mountpoint, lazy)
	switch {
	case !errors.Is(err, syscall.EBUSY):
		return err
	case isDead(mountpoint): // nobody who uses it can do anything there
		return mounts.DetachDead(*mounted)
	}
	return statusError{explainBusy(table, *mounted), exitBusy}
}

// refuseUnmount says what there is in place of a mount of clonefs.
func refuseUnmount(table mounts.Table, path string) error {
	if other, ok := table.At(path); ok {
		return fmt.Errorf("%s is a mount of %s (type %s), not of clonefs: umount(8) is for it", path, other.Source, other.Type)
	}
	return fmt.Errorf("%s is not a mount point: %s", path, describeMounts(table))
}

func explainBusy(table mounts.Table, mounted mounts.Mount) error {
	message := mounted.Dir + " is in use, and stays mounted:"
	for _, user := range describeUsers(table, mounted) {
		message += "\n  " + user
	}
	return fmt.Errorf("%s\nend these, or let `clonefs unmount --lazy %s` end the mount when they do", message, mounted.Dir)
}

// completeMountpoints completes the argument of commands that take a mount.
func completeMountpoints(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	table, _ := mounts.Read() // no suggestion then
	var dirs []string
	for _, m := range table.CloneFS() {
		dirs = append(dirs, m.Dir)
	}
	return dirs, cobra.ShellCompDirectiveFilterDirs
}
