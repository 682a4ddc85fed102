package main

import (
	"fmt"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

// refuseMount refuses to destroy what is a mount of clonefs, if it is one.
func refuseMount(m *mounts.Mount) error {
	if m == nil {
		return nil
	}
	return fmt.Errorf("%s is a mount of clonefs: `clonefs unmount %s` ends it", m.Dir, m.Dir)
}
