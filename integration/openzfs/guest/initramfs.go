package guest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// makeInitramfs puts the machine's initramfs together: the base, and after it
// an archive with what is this run's own. The kernel unpacks both, one over the
// other.
func makeInitramfs(ctx context.Context, m machine, base string, opts Options) error {
	root := filepath.Join(filepath.Dir(m.initramfs), "root")
	if err := stage(ctx, root, m.disks, opts); err != nil {
		return err
	}
	if err := copyFile(m.initramfs, base); err != nil {
		return err
	}
	return tool(ctx, "sh", "-ec", `cd "$0"; find . | cpio --quiet -o -H newc -R 0:0 >>"$1"`, root, m.initramfs)
}

// stage makes a directory that looks as this run's part of the guest's root.
func stage(ctx context.Context, root string, disks []Disk, opts Options) error {
	run := filepath.Join(root, "run", "guest")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return err
	}
	program, err := recipe.ReadFile("init")
	if err != nil {
		return err
	}
	var table strings.Builder
	for i, disk := range disks {
		fmt.Fprintf(&table, "%s %s\n", serial(i), disk.Place)
	}
	for name, content := range map[string]string{
		filepath.Join(root, "init"):   string(program),
		filepath.Join(run, "disks"):   table.String(),
		filepath.Join(run, "command"): script(opts),
	} {
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			return err
		}
	}
	for _, file := range opts.Files {
		to := filepath.Join(root, file.To)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := tool(ctx, "cp", "--recursive", "--dereference", "--preserve=mode,timestamps",
			"--no-target-directory", file.From, to); err != nil {
			return err
		}
	}
	return nil
}

// script is the shell script that the guest's init runs.
func script(opts Options) string {
	dir := opts.Dir
	if dir == "" {
		dir = "/root"
	}
	var s strings.Builder
	for _, variable := range opts.Env {
		fmt.Fprintf(&s, "export %s\n", quote(variable))
	}
	fmt.Fprintf(&s, "cd %s && exec", quote(dir))
	for _, word := range opts.Command {
		s.WriteString(" " + quote(word))
	}
	return s.String() + "\n"
}

// quote makes one word of a shell command line.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func copyFile(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := target.Close(); err == nil {
			err = cerr
		}
	}()
	_, err = io.Copy(target, source)
	return err
}
