package main

import (
	"github.com/spf13/cobra"
)

// rootName is what the program is called, and its processes.
const rootName = "clonefs"

const rootHelp = `clonefs gives every clone of a VirtualBox disk image a UUID of its own.

VirtualBox tells disks apart by a UUID in the image's header and refuses a
second disk with the same one, so it refuses the clone of an image. clonefs
mirrors a tree of clones under a mount point and presents each image with
another UUID. Nothing is patched: the stored images stay as they are.

  zfs clone tank/golden@v1 tank/ci/job-1
  clonefs mount tank/ci /mnt/vm
  VBoxManage storageattach ... --medium /mnt/vm/job-1/disk.vdi

To see it work, without ZFS or VirtualBox:

  clonefs demo
`

// newRootCommand returns the program's command with all that belong to it.
// started is set when a command line has proved right and its command begins.
func newRootCommand(started *bool) *cobra.Command {
	root := &cobra.Command{
		Use:              rootName,
		Short:            "Give every clone of a VirtualBox disk image a UUID of its own",
		Long:             rootHelp + "\n" + exitHelp,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { *started = true },
	}
	root.AddCommand(newMountCommand(), newUnmountCommand(), newListCommand(),
		newCloneCommand(), newDestroyCommand(), newDemoCommand(), newVersionCommand())
	root.Version = version()
	root.SetVersionTemplate(versionText())
	return root
}
