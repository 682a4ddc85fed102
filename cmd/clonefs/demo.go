package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

const demoHelp = `Show what clonefs does, on a small disk image and three clones of it.

Everything is made in a temporary directory (below $TMPDIR, or /tmp): the image,
its clones, and a mount. If there is a VBoxManage, VirtualBox is asked to take
the clones, before and after, with settings of its own that are no user's. All
of it is removed on Ctrl-C, or at once with --once.
`

// demoClones are the volumes of the demo.
var demoClones = []string{"job-1", "job-2", "job-3"}

const demoImage = "disk.vdi"

func newDemoCommand() *cobra.Command {
	var once bool
	var vboxManage string
	command := &cobra.Command{
		Use:     "demo [flags]",
		Short:   "Show what clonefs does, in a temporary directory",
		Long:    demoHelp + "\n" + exitHelp,
		Example: "  clonefs demo\n  TMPDIR=/srv/btrfs clonefs demo --once",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			vbox, err := findVirtualBox(vboxManage)
			if err != nil {
				return err
			}
			return runDemo(command, vbox, once)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	command.Flags().BoolVar(&once, "once", false, "do not wait for Ctrl-C, clean up at once")
	command.Flags().StringVar(&vboxManage, "vboxmanage", "", "ask the VirtualBox that this `program` controls (default VBoxManage, if it is on the PATH)")
	return command
}

// demo is one run of the command demo.
type demo struct {
	out io.Writer
	// program is this very program: the demo calls it as a user would.
	program string
	dir     string
	vbox    *virtualBox // nil without
	golden  demoRow
}

func runDemo(command *cobra.Command, vbox *virtualBox, once bool) (err error) {
	ctx, stop := untilSignal(command.Context())
	defer stop()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	base, err := os.MkdirTemp("", "clonefs-demo-")
	if err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(base)
	if err != nil {
		return errors.Join(err, os.Remove(base))
	}
	d := &demo{out: command.OutOrStdout(), program: program, dir: dir, vbox: vbox}
	defer func() { err = errors.Join(err, d.cleanUp()) }()
	return d.run(ctx, once)
}

func (d *demo) run(ctx context.Context, once bool) error {
	if err := newFuseSystem().check(false); err != nil {
		return err
	}
	for _, step := range []func() error{d.showClones, d.showRefusal, d.showMount, d.showAcceptance, d.showStored} {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err := step(); err != nil {
			return err
		}
	}
	if !once {
		d.say("Look around, in another terminal:\n\n  ls -lR %s\n  clonefs ls %s\n\nCtrl-C ends the demo and removes everything.\n", d.mountpoint(), d.mountpoint())
		<-ctx.Done()
	}
	return nil
}

func (d *demo) source() string     { return filepath.Join(d.dir, "clones") }
func (d *demo) mountpoint() string { return filepath.Join(d.dir, "mnt") }
func (d *demo) goldenPath() string { return filepath.Join(d.dir, "golden.vdi") }

// say prints a paragraph. Without an output the demo is still a check.
func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) showClones() error {
	means, err := d.makeClones()
	if err != nil {
		return err
	}
	rows, err := d.storedRows()
	if err != nil {
		return err
	}
	d.golden = rows[0]
	d.say("A golden image and %d clones of it, made as %s:\n", len(demoClones), means)
	return d.table(rows)
}

func (d *demo) showRefusal() error {
	if d.vbox == nil {
		d.say("VirtualBox takes one of them, and refuses the rest because their UUID \"already exists\".\n")
		return nil
	}
	if err := d.vbox.start(d.dir); err != nil {
		return err
	}
	refusal, err := d.vbox.showRefusal(d.clonePaths(d.source()))
	if err != nil {
		return err
	}
	d.say("VirtualBox takes the first and refuses the second:\n\n  %s\n", refusal)
	return nil
}

func (d *demo) showMount() error {
	if err := os.Mkdir(d.mountpoint(), 0o755); err != nil {
		return err
	}
	source := directoryKind + ":" + d.source()
	if err := d.clonefs("mount", "--log-file", filepath.Join(d.dir, "clonefs.log"), source, d.mountpoint()); err != nil {
		return err
	}
	rows, err := d.mountedRows()
	if err != nil {
		return err
	}
	d.say("Mounted with clonefs, each has a UUID of its own (its ends stay: the\nguest's disk serial number is made of them):\n\n  clonefs mount %s %s\n", source, d.mountpoint())
	return errors.Join(d.table(rows), d.checkPresented(rows))
}

func (d *demo) showAcceptance() error {
	if d.vbox == nil {
		d.say("VirtualBox would take them all. (There is no VBoxManage here to show it with.)\n")
		return nil
	}
	if err := d.vbox.attach(d.clonePaths(d.mountpoint())); err != nil {
		return fmt.Errorf("attach the mounted clones to a VM: %w", err)
	}
	d.say("VirtualBox takes them all: %s are the disks of one VM now.\n", strings.Join(demoClones, ", "))
	return nil
}

func (d *demo) showStored() error {
	rows, err := d.storedRows()
	if err != nil {
		return err
	}
	d.say("The stored images keep the UUID that they had; nothing was patched:\n")
	return errors.Join(d.table(rows), d.checkStored(rows))
}

// clonePaths returns the paths of the clones' images below dir.
func (d *demo) clonePaths(dir string) []string {
	var paths []string
	for _, clone := range demoClones {
		paths = append(paths, filepath.Join(dir, clone, demoImage))
	}
	return paths
}

// clonefs runs this program. Ctrl-C is not for it: it is short, and the demo
// ends in order.
func (d *demo) clonefs(args ...string) error {
	command := exec.Command(d.program, args...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("clonefs %s: %s: %w", args[0], strings.TrimSpace(string(output)), err)
	}
	return nil
}

// cleanUp removes everything that there is by now.
func (d *demo) cleanUp() error {
	err := d.unmount()
	if d.vbox != nil {
		err = errors.Join(err, d.vbox.end())
	}
	if err != nil {
		return fmt.Errorf("the demo leaves %s behind: %w", d.dir, err)
	}
	return os.RemoveAll(d.dir)
}

// unmount unmounts, even if a curious shell has gone there.
func (d *demo) unmount() error {
	table, err := mounts.Read()
	if err != nil {
		return err
	}
	if _, mounted := table.At(d.mountpoint()); !mounted {
		return nil
	}
	if d.clonefs("unmount", d.mountpoint()) == nil {
		return nil
	}
	return d.clonefs("unmount", "--lazy", d.mountpoint())
}
