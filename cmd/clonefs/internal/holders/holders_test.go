package holders

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAHolderIsDescribedInOneLine(t *testing.T) {
	holder := Holder{PID: 4711, Command: "qemu-img"}
	holder.add("open file", "job-1/disk.vdi")
	holder.add("open file", "job-1/disk.vdi")
	holder.add("working directory", "job-1")
	require.Equal(t, "qemu-img (pid 4711): open file job-1/disk.vdi, working directory job-1", holder.String())

	for _, path := range []string{"a", "b", "c"} {
		holder.add("mapped file", path)
	}
	require.Equal(t, "qemu-img (pid 4711): open file job-1/disk.vdi, working directory job-1, mapped file a, and 2 more", holder.String())
}

func TestAUseWithoutAPathIsDescribedToo(t *testing.T) {
	require.Equal(t, "sh (pid 1): working directory", Holder{PID: 1, Command: "sh", Uses: []Use{{How: "working directory"}}}.String())
}
