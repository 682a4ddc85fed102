package connection

import (
	"testing"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOptionsOfMountAreToldFromThoseOfFUSE(t *testing.T) {
	for _, v := range []struct {
		name    string
		options []string
		flags   uintptr
		data    []string
	}{
		{"none", nil, unix.MS_NODEV | unix.MS_NOSUID, nil},
		{"FUSE's own", []string{"default_permissions"}, unix.MS_NODEV | unix.MS_NOSUID, []string{"default_permissions"}},
		{"devices and setuid programs, where asked for", []string{"dev", "suid"}, 0, nil},
		{"the last word counts", []string{"dev", "nodev", "suid", "noexec", "exec"}, unix.MS_NODEV, nil},
		{"read-only", []string{"ro"}, unix.MS_NODEV | unix.MS_NOSUID | unix.MS_RDONLY, nil},
	} {
		flags, data := split(v.options)
		require.Equal(t, v.flags, flags, v.name)
		require.Equal(t, v.data, data, v.name)
	}
}

func TestFusermountGetsCommasEscaped(t *testing.T) {
	require.Equal(t, []string{`fsname=dir:/a\,b\\c`, "subtype=clonefs", "max_read=4096", "default_permissions", "allow_other"},
		userOptions(&fuse.MountOptions{FsName: `dir:/a,b\c`, Name: "clonefs", MaxWrite: 4096, AllowOther: true, Options: []string{"default_permissions"}}))
}

func TestDataOfARequestBeginsOnAPage(t *testing.T) {
	for head := range 200 {
		b := aligned(head+1, 4096)
		require.Len(t, b, head+1+4096)
		require.Zero(t, uintptr(unsafe.Pointer(&b[head+1]))%uintptr(pageSize))
	}
}
