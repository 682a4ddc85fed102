//go:build linux

package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const program = "github.com/clonefs/clonefs/cmd/clonefs"

// buildDir is where the program was built, empty until then.
var buildDir string

// Main runs the tests of a package and removes the program that was built for
// them. Its result is for os.Exit.
func Main(m *testing.M) int {
	defer func() {
		if buildDir != "" {
			_ = os.RemoveAll(buildDir)
		}
	}()
	return m.Run()
}

// Binary returns the path of the program under test: the one that the
// environment variable CLONEFS_BINARY names, or one built from this source the
// first time it is asked for. CLONEFS_RACE=1 builds it with the race detector.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	return path
}

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CLONEFS_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	return build()
})

func build() (string, error) {
	dir, err := os.MkdirTemp("", "clonefs-build-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	path := filepath.Join(dir, "clonefs")
	cmd := buildCommand(path, os.Getenv("CLONEFS_RACE") == "1")
	return path, runBuild(cmd)
}

// Build builds the program, of a version, at a path.
func Build(t testing.TB, path, version string) {
	t.Helper()
	cmd := buildCommand(path, os.Getenv("CLONEFS_RACE") == "1", "-ldflags", "-X main.linkedVersion="+version)
	require.NoError(t, runBuild(cmd))
}

func runBuild(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return nil
}

// buildCommand builds as a release is built, without cgo; the race detector
// cannot do without it.
func buildCommand(path string, race bool, flags ...string) *exec.Cmd {
	args, cgo := []string{"build", "-o", path}, "0"
	if race {
		args, cgo = append(args, "-race"), "1"
	}
	cmd := exec.Command("go", append(append(args, flags...), program)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	return cmd
}
