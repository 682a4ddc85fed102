//go:build linux

package integration

import (
	"os"
	"testing"

	"github.com/clonefs/clonefs/integration/daemon"
)

func TestMain(m *testing.M) { os.Exit(daemon.Main(m)) }
