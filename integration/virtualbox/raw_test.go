//go:build linux

package virtualbox_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/virtualbox/vbox"
)

// TestVirtualBoxRefusesClonesByTheirRawPaths shows the problem that clonefs is
// there for.
func TestVirtualBoxRefusesClonesByTheirRawPaths(t *testing.T) {
	for _, golden := range []string{dynamic, fixed, byQemu} {
		t.Run(golden, func(t *testing.T) {
			l := newLab(t, virtualBox(t))
			l.clone(golden, "job-1", "job-2")
			l.vb.NewMachine("vm-1", vbox.SATA).Attach(l.stored("job-1", disk))
			err := l.vb.NewMachine("vm-2", vbox.SATA).TryAttach(l.stored("job-2", disk))
			require.ErrorContains(t, err, "Cannot register the hard disk '"+l.stored("job-2", disk)+"'")
			require.ErrorContains(t, err, "already exists")
			require.ErrorContains(t, err, uuidText(field(t, goldenFile(t, golden, disk), createAt)))
			t.Logf("VirtualBox refuses the second clone: %.60s... already exists", message(err))
		})
	}
}

// message returns what VBoxManage said, without the command line.
func message(err error) string {
	_, said, _ := strings.Cut(err.Error(), "VBoxManage: error: ")
	return said
}
