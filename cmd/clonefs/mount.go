package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

const mountHelp = `Mount the clones of SOURCE on the directory MOUNTPOINT.

SOURCE is dir:PATH or zfs:DATASET; without a prefix, what begins with a slash or
a dot is a directory and anything else a dataset.

  zfs:DATASET  every file system at and below the dataset is a volume. Clones
               appear under the mount point as they are made, and go as they
               are destroyed.
               With --snapshots, so is every snapshot of them: VOLUME@SNAPSHOT,
               read-only, and @SNAPSHOT for the dataset's own.
  dir:PATH     every directory directly in PATH is a volume, for clones made
               with cp --reflink, or copies.

The images of each volume are presented with UUIDs of their own, which stay the
same for as long as the volume lives. The stored images are not changed.

The command returns when the mount answers; a daemon serves it in the
background. SIGINT or SIGTERM end it. While a file is in use it stays and logs
who uses it; a second signal takes the mount out of sight and ends the daemon
when the last file is closed.

With --replace this process takes the mount over from the daemon that serves it,
with all open files: whoever uses them, a running VM too, only waits a moment.
That is how to upgrade clonefs, or to change the flags of --manage and of the
log; the others must be as they are. Where nothing is mounted, it mounts.

The log of the daemon is --log-file, or else
/var/log/clonefs.log for root and clonefs/clonefs.log in $XDG_STATE_HOME
(~/.local/state) for others.

With --manage, directories at the top can be made, removed and renamed by those
whom its owner and mode allow: mkdir makes a clone of --template, which is a
snapshot of ZFS or a directory, and returns when its disk is there; rmdir
destroys a volume, if it is a clone of that template and has no snapshots; mv
renames one. The log says why something was refused.

Options after -o are the long flags, as mount(8) and fstab(5) write them:
allow_other, ro, guest_serial=unique, log_file=/var/log/vm.log. Device files and
setuid bits on the mount never have an effect. A line in /etc/fstab:

  zfs:tank/ci  /mnt/vm  fuse.clonefs  allow_other,_netdev,nofail  0  0

Called by mount(8), as here, the exit status is one of mount(8)'s.
`

const mountExamples = `  clonefs mount tank/ci /mnt/vm
  clonefs mount --allow-other zfs:tank/ci /mnt/vm
  clonefs mount --foreground ./clones ~/mnt
  clonefs mount --replace --allow-other zfs:tank/ci /mnt/vm
  clonefs mount --manage --template=tank/golden@v1 --top-owner=:ci --top-mode=0775 --allow-other tank/ci /mnt/vm
  mount -t fuse.clonefs tank/ci /mnt/vm -o allow_other,ro`

var errNoProgram = errors.New("--native-io: the name of a program is empty; a list is VBoxHeadless,VirtualBoxVM")

// mountConfig is what a mount is to be like.
type mountConfig struct {
	source     sourceName
	mountpoint string

	foreground  bool
	allowOther  bool
	readOnly    bool
	snapshots   bool
	nonempty    bool
	replace     bool
	noexec      bool
	guestSerial vdi.GuestSerial
	nativeIO    []string
	manage      manageConfig
	log         logConfig

	// stored is the mount that the daemon before this one has left to systemd.
	stored  *fs.Handover
	manager *systemd // nil without

	// What only mount(8) asks for.
	fake, sloppy, quiet bool
}

func newMountCommand() *cobra.Command {
	var config mountConfig
	var options []string
	command := &cobra.Command{
		Use:     "mount [flags] SOURCE MOUNTPOINT",
		Short:   "Mount a tree of clones",
		Long:    mountHelp + "\n" + exitHelp,
		Example: mountExamples,
		Args:    cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			if err := config.complete(command, options, args); err != nil {
				return usageError{err}
			}
			return config.run(command.Context(), command.OutOrStdout(), command.ErrOrStderr())
		},
		ValidArgsFunction: completeDirectories,
	}
	config.addFlags(command)
	command.Flags().StringArrayVarP(&options, "options", "o", nil, "flags as mount(8) writes them, separated by `commas`")
	return command
}

func (c *mountConfig) addFlags(command *cobra.Command) {
	flags := command.Flags()
	flags.BoolVarP(&c.foreground, "foreground", "f", false, "stay in the foreground and log to standard error")
	flags.BoolVar(&c.allowOther, "allow-other", false, "let other users in; permissions decide what they may do")
	flags.BoolVarP(&c.readOnly, "read-only", "r", false, "refuse every change")
	flags.BoolVar(&c.snapshots, "snapshots", false, "serve the snapshots of the datasets too, read-only, as VOLUME@SNAPSHOT")
	flags.BoolVar(&c.nonempty, "nonempty", false, "mount even on a directory that is not empty, and hide what is in it")
	flags.BoolVar(&c.replace, "replace", false, "take the mount over from the daemon that serves it; all that is open stays open")
	flags.BoolVar(&c.noexec, "noexec", false, "let no program on the mount be run")
	flags.Var(&c.guestSerial, "guest-serial", "keep the disk serial number that guests see, or make it unique too,\nfor two clones of one image in one VM")
	flags.StringSliceVar(&c.nativeIO, "native-io", nil, "let these `programs` read and write the stored images directly, and see the\nstored UUIDs: VBoxHeadless,VirtualBoxVM runs VMs faster")
	c.manage.addFlags(flags)
	c.log.addFlags(flags)
	flags.BoolVar(&c.fake, "fake", false, "check everything, but do not mount")
	flags.BoolVar(&c.sloppy, "sloppy", false, "pass over unknown options")
	flags.BoolVar(&c.quiet, "quiet", false, "say nothing when the mount answers")
	for _, name := range []string{"fake", "sloppy", "quiet"} {
		_ = flags.MarkHidden(name) // they exist
	}
}

// complete takes the options and arguments in.
func (c *mountConfig) complete(command *cobra.Command, options, args []string) (err error) {
	for _, list := range options {
		settings, err := expandOptions(list, c.sloppy)
		if err != nil {
			return err
		}
		for _, s := range settings {
			if err := command.Flags().Set(s.flag, s.value); err != nil {
				return fmt.Errorf("option %s after -o: %w", s.flag, err)
			}
		}
	}
	c.mountpoint = args[1]
	if c.source, err = parseSource(args[0]); err != nil {
		return err
	}
	if slices.Contains(c.nativeIO, "") {
		return errNoProgram
	}
	if c.snapshots && c.source.kind != datasetKind {
		return errNoSnapshots
	}
	return c.manage.complete(c.source.kind, c.readOnly)
}

// run mounts, in the foreground, as the daemon, or by starting the daemon.
func (c *mountConfig) run(ctx context.Context, stdout, stderr io.Writer) error {
	if c.foreground || isDaemon() {
		if err := confine(); err != nil {
			return err
		}
	}
	ready, err := readyPipe()
	switch {
	case err != nil:
		return err
	case ready != nil:
		return c.runDaemon(ready)
	case c.foreground:
		return c.runForeground(stderr)
	}
	r, err := startDaemon(ctx)
	if err != nil || c.quiet {
		return err
	}
	_, err = fmt.Fprintln(stdout, r.Line)
	return err
}

func (c *mountConfig) runForeground(stderr io.Writer) error {
	if err := c.log.useFile(false); err != nil {
		return err
	}
	logger, _, err := c.log.open()
	if err != nil {
		return err
	}
	c.manager = underSystemd()
	if c.stored, err = c.manager.stored(); err != nil {
		logger.Error("a mount that was handed over is lost", "error", err)
	}
	s, err := c.start(logger, stderr)
	if err != nil {
		return c.giveBack(err)
	}
	if s == nil {
		return nil
	}
	s.serveFor(c.manager)
	return nil
}

// giveBack gives the mount that systemd has kept for this process back to it, because
// this process cannot serve it: the next one may.
func (c *mountConfig) giveBack(reason error) error {
	if c.stored == nil {
		return reason
	}
	if err := c.manager.store(c.stored); err != nil {
		return errors.Join(reason, fmt.Errorf("the mount is lost: %w", err))
	}
	return fmt.Errorf("%w; who uses the mount waits for a daemon that can serve it", reason)
}

// runDaemon reports an error to the process that started the daemon, which
// is to print it.
func (c *mountConfig) runDaemon(ready *os.File) error {
	s, err := c.startDaemonized(ready)
	if err != nil {
		_ = report{Error: err.Error(), Status: exitStatus(err)}.send(ready) // nobody else to tell
		return statusError{errReported, exitStatus(err)}
	}
	if s != nil {
		s.run()
	}
	return nil
}

func (c *mountConfig) startDaemonized(ready *os.File) (*service, error) {
	if err := c.log.useFile(true); err != nil {
		return nil, err
	}
	logger, file, err := c.log.open()
	if err != nil {
		return nil, err
	}
	s, err := c.start(logger, os.Stderr)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, report{}.send(ready)
	}
	line := fmt.Sprintf("%s is mounted on %s, log in %s", c.source, s.mountpoint, c.log.file)
	if s.from != 0 {
		line = fmt.Sprintf("%s on %s is taken over from process %d, log in %s", c.source, s.mountpoint, s.from, c.log.file)
	}
	if err := errors.Join(redirectStandardError(file), report{Line: line}.send(ready)); err != nil {
		logger.Error("nobody waits for the mount any more; unmounting", "error", err)
		return nil, errors.Join(err, s.unmount())
	}
	return s, nil
}

// start checks everything that can be checked, the cheap things first, and
// mounts. With fake it does all but the last, and returns nil.
func (c *mountConfig) start(logger *slog.Logger, stderr io.Writer) (*service, error) {
	notice := func(line string) {
		logger.Warn(line)
		if c.log.file != "" {
			printLine(stderr, line)
		}
	}
	mountpoint, living, err := c.prepareMountpoint(notice)
	if err != nil {
		return nil, err
	}
	if err := newFuseSystem().check(c.allowOther); err != nil {
		return nil, err
	}
	source, name, err := openSource(c.source, c.snapshots, logger)
	if err != nil {
		return nil, err
	}
	c.source = name
	if !living { // what is mounted already may not answer now
		err = checkOverlap(mountpoint, sourceDirs(source))
	}
	if err != nil {
		return nil, err
	}
	manager, err := c.manage.manager(source, name)
	if err != nil || c.fake {
		return nil, err
	}
	if line := emptyNotice(name, source); line != "" {
		notice(line)
	}
	return c.mount(mountpoint, living, source, manager, logger)
}

// prepareMountpoint returns the directory to mount on, and whether there is a mount on
// it that is to be taken over.
func (c *mountConfig) prepareMountpoint(notice func(string)) (mountpoint string, living bool, err error) {
	if c.stored != nil {
		return storedMountpoint(c.mountpoint)
	}
	if c.replace {
		if mountpoint, err = livingMount(c.mountpoint); mountpoint != "" || err != nil {
			return mountpoint, true, err
		}
	}
	mountpoint, err = prepareMountpoint(c.mountpoint, c.nonempty, notice)
	return mountpoint, false, err
}

// mount mounts, or takes over the living mount that there is.
func (c *mountConfig) mount(mountpoint string, living bool, source fs.Source, manager fs.Manager, logger *slog.Logger) (*service, error) {
	// No directory is kept busy, and no core dump is written into one. (The
	// Go runtime has raised the limit of open files by itself.)
	if err := os.Chdir("/"); err != nil {
		return nil, err
	}
	top, err := c.manage.top(source)
	if err != nil {
		return nil, err
	}
	signals := catchSignals()
	spareProcessors()
	options := fs.Options{
		FsName: c.source.String(), AllowOther: c.allowOther, ReadOnly: c.readOnly, MountOptions: c.mountOptions(),
		Manager: manager, Top: top, GuestSerial: c.guestSerial, NativeIO: c.nativeIO, Logger: logger, Debug: logger.Enabled(context.Background(), slog.LevelDebug),
	}
	s := &service{mountpoint: mountpoint, logger: logger, signals: signals}
	if living {
		s.server, s.from, err = c.takeOver(mountpoint, source, options)
	} else if s.server, err = fs.Mount(mountpoint, source, options); err != nil {
		err = explainMount(fmt.Errorf("mount %s on %s: %w", c.source, mountpoint, err))
	}
	if err != nil {
		return nil, err
	}
	if c.manager == nil { // which has its own way: the new daemon must be systemd's
		s.listen()
	}
	c.logStart(s, living)
	return s, nil
}

// logStart comes last: who reads it may rely on all of the daemon.
func (c *mountConfig) logStart(s *service, living bool) {
	log := s.logger.With("source", c.source.String(), "mountpoint", s.mountpoint, "version", version())
	if living {
		log.Info("taken over", "from", s.from)
	} else {
		log.Info("mounted")
	}
}

// mountOptions returns what the kernel is to enforce. There is no flag for device
// files and setuid bits: a clone can come from anywhere.
func (c *mountConfig) mountOptions() []string {
	if c.noexec {
		return []string{"noexec"}
	}
	return nil
}

// completeDirectories completes the arguments of mount.
func completeDirectories(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}
