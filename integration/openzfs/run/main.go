// Command run runs one program in a virtual machine that has OpenZFS, shows its
// output, and exits with its exit status:
//
//	go run ./integration/openzfs/run [flags] PROGRAM [ARGUMENT...]
//
// PROGRAM is a file of this machine: a script, a static program, or a test binary
// made with CGO_ENABLED=0 go test -c. Run from the repository: what the machine
// boots is built the first time, which takes some ten minutes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/clonefs/clonefs/integration/openzfs/guest"
)

func main() {
	status, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		status = 1
	}
	os.Exit(status)
}

func run() (int, error) {
	opts := guest.Options{Output: os.Stdout}
	limit := flag.Duration("timeout", 10*time.Minute, "the most time that the machine may run")
	flag.IntVar(&opts.Memory, "memory", 3072, "the machine's memory, in MiB")
	flag.Func("file", "copy a file or directory of this machine, as `FROM:TO` (repeat)", func(value string) error {
		from, to, ok := strings.Cut(value, ":")
		opts.Files = append(opts.Files, guest.File{From: from, To: to})
		return pair(ok)
	})
	flag.Func("disk", "attach an ext4 image and mount it, as `IMAGE:PLACE` (repeat); writes to it are lost", func(value string) error {
		image, place, ok := strings.Cut(value, ":")
		opts.Disks = append(opts.Disks, guest.Disk{Image: image, Place: place})
		return pair(ok)
	})
	flag.Func("env", "add `NAME=VALUE` to the program's environment (repeat)", func(value string) error {
		opts.Env = append(opts.Env, value)
		return nil
	})
	flag.Parse()
	if flag.NArg() == 0 {
		return 0, errors.New("no program given")
	}
	program := path.Join("/root", filepath.Base(flag.Arg(0)))
	opts.Files = append(opts.Files, guest.File{From: flag.Arg(0), To: program})
	opts.Command = append([]string{program}, flag.Args()[1:]...)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	return guest.Run(ctx, opts)
}

func pair(ok bool) error {
	if !ok {
		return errors.New("want two paths with a colon between them")
	}
	return nil
}
