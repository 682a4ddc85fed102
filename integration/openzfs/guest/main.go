package guest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Tests says what the tests of a package need beside themselves.
type Tests struct {
	// Programs are built for the tests, which find them in their PATH: from
	// name to import path.
	Programs map[string]string
	// Sources are directories whose files the programs are made of, relative
	// to the package: with a change there, a result that go test has kept is
	// not used again.
	Sources []string
	// Always is set where a guest is wanted also on a machine that has ZFS.
	Always bool
	// Freezes is how long the tests take where the guest has frozen as a whole, 0 if
	// it never does: they then begin anew, once, in another guest.
	Freezes time.Duration
	// Disks, Files and Memory are the guest's; see Options. They are asked for
	// only where there is a guest.
	Guest func() (Options, error)
}

// bootTime is what a guest may take beside its tests.
const bootTime = time.Minute

// Main runs a package's tests where there is ZFS, and returns the exit status for
// os.Exit: here, on a machine that has /dev/zfs, and else in a guest, where this
// very test binary is run with the arguments that it has here (-run, say). What go test shows
// is then what it shows of tests that ran here.
//
// With -short, or on a machine that no guest can be made for, nothing is run,
// which is a failure where CI is true.
func Main(m *testing.M, tests Tests) int {
	flag.Parse()
	for _, dir := range tests.Sources {
		_, _ = os.ReadDir(dir) // go test notes it
	}
	status, err := run(m, tests)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func run(m *testing.M, tests Tests) (status int, err error) {
	if os.Getenv(inGuest) != "" {
		return m.Run(), nil
	}
	here := hasZFS() && !tests.Always
	if reason := Missing(); !here && reason != "" {
		return skip(reason)
	}
	bin, err := os.MkdirTemp("", "clonefs-programs-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	for name, importPath := range tests.Programs {
		if err := goBuild(filepath.Join(bin, name), importPath); err != nil {
			return 0, err
		}
	}
	if here {
		if err := os.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
			return 0, err
		}
		return m.Run(), nil
	}
	return relay(bin, tests)
}

// inGuest is set in the environment of tests that run in a guest.
const inGuest = "CLONEFS_TEST_GUEST"

// hasZFS says whether this machine's kernel has ZFS.
func hasZFS() bool {
	_, err := os.Stat("/dev/zfs")
	return err == nil
}

// Missing returns why a test gets no guest on this machine, and nothing where it does.
func Missing() string {
	if testing.Short() || runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "ZFS is needed, and with -short or on " + runtime.GOOS + "/" + runtime.GOARCH + " no guest with it is started"
	}
	return ""
}

// skip says why no test was run.
func skip(reason string) (status int, err error) {
	if os.Getenv("CI") == "true" {
		return 0, errors.New(reason)
	}
	fmt.Println("skipped:", reason)
	return 0, nil
}

// goBuild builds a program that runs with any C library, or none.
func goBuild(to, importPath string) error {
	cmd := exec.Command("go", "build", "-o", to, importPath)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", importPath, err, out)
	}
	return nil
}

// relay runs this test binary in a guest.
func relay(bin string, tests Tests) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	var opts Options
	if tests.Guest != nil {
		if opts, err = tests.Guest(); err != nil {
			return 0, err
		}
	}
	const home = "/srv/test"
	name := path.Join(home, filepath.Base(self))
	opts.Dir = home
	opts.Command = append([]string{name}, guestArguments(os.Args[1:])...)
	opts.Env = append(opts.Env, environment(os.Environ())...)
	opts.Files = append(opts.Files, File{From: self, To: name}, File{From: bin, To: "/usr/local/bin"})
	if _, err := os.Stat("testdata"); err == nil {
		opts.Files = append(opts.Files, File{From: "testdata", To: path.Join(home, "testdata")})
	}
	opts.Output = os.Stdout
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := limited(ctx, bootTime)
	defer cancel()
	if tests.Freezes == 0 {
		return Run(ctx, opts)
	}
	return runThawed(ctx, opts, tests.Freezes)
}

// runThawed is Run, once more if the guest freezes.
func runThawed(ctx context.Context, opts Options, freezes time.Duration) (int, error) {
	once, cancel := context.WithTimeout(ctx, freezes)
	defer cancel()
	status, err := Run(once, opts)
	if once.Err() == nil || ctx.Err() != nil {
		return status, err
	}
	fmt.Fprintf(os.Stderr, "the guest is not done after %v and has frozen (%v): all begins anew, in another one\n", freezes, err)
	return Run(ctx, opts)
}

// limited is a context that ends some time after the tests must have: go test's
// -timeout is obeyed by the test binary in the guest, which says which test it
// was.
func limited(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	timeout, ok := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration)
	if !ok || timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout+after)
}

// guestArguments are a test binary's arguments without those that name files of
// this machine.
func guestArguments(args []string) []string {
	var kept []string
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch name {
		case "test.testlogfile", "test.outputdir", "test.gocoverdir", "test.coverprofile":
		default:
			kept = append(kept, arg)
		}
	}
	return kept
}

// environment is what the tests in a guest see of this process's.
func environment(all []string) []string {
	env := []string{inGuest + "=1"}
	for _, variable := range all {
		name, _, _ := strings.Cut(variable, "=")
		if name == "CI" || name == "GOMAXPROCS" || strings.HasPrefix(name, "CLONEFS_") {
			env = append(env, variable)
		}
	}
	return env
}
