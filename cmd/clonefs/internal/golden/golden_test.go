package golden

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/vdi"
)

func written(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "golden.vdi")
	require.NoError(t, Write(path, "hello from the disk"))
	return path
}

func TestAnImageHasTheHeaderOfADynamicImage(t *testing.T) {
	file, err := os.ReadFile(written(t))
	require.NoError(t, err)
	h, err := vdi.Parse(file[:vdi.HeaderSize])
	require.NoError(t, err)
	require.Equal(t, 1, h.Major)
	require.Equal(t, 1, h.Minor)
	require.Equal(t, vdi.Dynamic, h.Type)
	require.EqualValues(t, Capacity, h.Capacity)
	require.False(t, h.Create.IsNull())
	require.False(t, h.Modify.IsNull())
	require.True(t, h.Linkage.IsNull())
	require.True(t, h.ParentModify.IsNull())
}

func TestEveryImageHasAUUIDOfItsOwn(t *testing.T) {
	one, err := os.ReadFile(written(t))
	require.NoError(t, err)
	other, err := os.ReadFile(written(t))
	require.NoError(t, err)
	require.NotEqual(t, one[:vdi.HeaderSize], other[:vdi.HeaderSize])
}

func TestAFileIsNeverOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "taken")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	require.ErrorIs(t, Write(path, ""), os.ErrExist)
}

func TestQemuFindsTheContentAndNoFault(t *testing.T) {
	qemu, err := exec.LookPath("qemu-img")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("qemu-img is not installed (package qemu-utils)")
		}
		t.Skip("qemu-img is not installed (package qemu-utils)")
	}
	path := written(t)
	out, err := exec.Command(qemu, "check", "-f", "vdi", path).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "No errors were found")

	raw := filepath.Join(t.TempDir(), "disk.raw")
	out, err = exec.Command(qemu, "convert", "-f", "vdi", "-O", "raw", path, raw).CombinedOutput()
	require.NoError(t, err, string(out))
	disk, err := os.ReadFile(raw)
	require.NoError(t, err)
	require.Len(t, disk, Capacity)
	require.Contains(t, string(disk[:64]), "hello from the disk")
}
