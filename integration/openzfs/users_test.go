package openzfs

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOtherUsersAreLetInWithAndWithoutAccessControlLists(t *testing.T) {
	c := newClones(t, "--allow-other")
	c.job("without", "-o", "acltype=off")
	c.job("with", "-o", "acltype=posix")
	for _, name := range []string{"without", "with"} {
		require.NoError(t, c.nobody("cat", c.disk(name)), name)
		require.NoError(t, c.nobody("ls", "-l", c.at, filepath.Join(c.at, name)), name)
		require.Error(t, c.nobody("touch", filepath.Join(c.at, name, "new")), name)
	}
}
