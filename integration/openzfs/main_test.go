package openzfs

import (
	"os"
	"testing"

	"github.com/clonefs/clonefs/integration/openzfs/guest"
)

func TestMain(m *testing.M) {
	os.Exit(guest.Main(m, guest.Tests{
		Programs: map[string]string{"clonefs": "github.com/clonefs/clonefs/cmd/clonefs"},
		Sources:  []string{"../../cmd/clonefs", "../../dir", "../../fs", "../../vdi", "../../zfs"},
	}))
}
