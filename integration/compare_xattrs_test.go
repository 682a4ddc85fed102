package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExtendedAttributesAreAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "xattrs", root, plainUser, groupMember)
}

var xattrScenarios = []scenario{
	{name: "every namespace, on one of each kind", given: oneOfEach, when: func(c *client) {
		for _, name := range []string{"file", "directory", "fifo", "link"} {
			for _, attr := range []string{"user.a", "trusted.a", "security.a", "system.a", "other.a", "user.", "user", "", "user." + strings.Repeat("n", 250), "user." + strings.Repeat("n", 251)} {
				c.xattrs(name, attr)
			}
		}
	}},
	{name: "creating and replacing are told apart", given: oneOfEach, when: func(c *client) {
		for _, flags := range []int{unix.XATTR_REPLACE, unix.XATTR_CREATE, unix.XATTR_CREATE, unix.XATTR_REPLACE, 0, unix.XATTR_CREATE | unix.XATTR_REPLACE, 4} {
			c.did(fmt.Sprintf("set with %d", flags), unix.Setxattr("file", "user.a", fmt.Append(nil, "set with ", flags), flags))
			c.getxattr("file", "user.a", 100)
		}
	}},
	{name: "values of every size are kept, or refused", given: oneOfEach, when: func(c *client) {
		for _, size := range []int{0, 1, 255, 2000, 3500, 5000, 65536, 65537} {
			c.did(fmt.Sprintf("set %d bytes", size), unix.Setxattr("file", "user.a", bytes.Repeat([]byte("v"), size), 0))
			c.getxattr("file", "user.a", 0)
			c.getxattr("file", "user.a", size)
			c.getxattr("file", "user.a", max(size-1, 1))
		}
	}},
	{name: "a list of names is cut for nobody", given: func(g *given) {
		oneOfEach(g)
		for i := range 20 {
			g.xattr("file", fmt.Sprint("user.attribute number ", i), "value")
		}
	}, when: func(c *client) {
		for _, size := range []int{0, 1, 100, 1 << 16} {
			c.listxattr("file", size)
		}
		c.listxattr("directory", 100)
	}},
	{name: "attributes of a trusted process are seen by one only", given: func(g *given) {
		oneOfEach(g)
		for _, name := range []string{"file", "directory"} {
			g.xattr(name, "user.a", "for all")
			g.xattr(name, "trusted.a", "for root")
			g.xattr(name, "security.a", "for a security module")
		}
		g.xattr("link", "trusted.a", "of a link")
	}, when: func(c *client) {
		for _, name := range []string{"file", "directory", "link"} {
			c.listxattr(name, 0)
			c.listxattr(name, 1000)
			for _, attr := range []string{"user.a", "trusted.a", "security.a"} {
				c.xattrs(name, attr)
			}
		}
	}},
	{name: "who may not read or write a file may not its attributes", given: func(g *given) {
		for _, mode := range []uint32{0, 0o444, 0o222, 0o666, 0o040, 0o020} {
			g.file(fmt.Sprintf("file %o", mode), stranger, staff, mode)
			g.xattr(fmt.Sprintf("file %o", mode), "user.a", "value")
		}
		g.folder("sticky", stranger, stranger, 0o1777)
	}, when: func(c *client) {
		for _, mode := range []uint32{0, 0o444, 0o222, 0o666, 0o040, 0o020} {
			c.xattrs(fmt.Sprintf("file %o", mode), "user.a")
		}
		c.xattrs("sticky", "user.a")
	}},
	{name: "an attribute is set, read and removed by descriptor", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDONLY, 0)
		c.did("set", unix.Fsetxattr(fd, "user.a", []byte("value"), 0))
		c.did("unlink", unix.Unlink("file"))
		buf := make([]byte, 100)
		n, err := unix.Fgetxattr(fd, "user.a", buf)
		c.did(fmt.Sprintf("get %q", buf[:max(n, 0)]), err)
		c.did("set", unix.Fsetxattr(fd, "user.b", nil, 0))
		n, err = unix.Flistxattr(fd, buf)
		c.did(fmt.Sprintf("list %q", buf[:max(n, 0)]), err)
		c.did("remove", unix.Fremovexattr(fd, "user.a"))
	}},
	{name: "capabilities of a file end when it is written or given away", given: func(g *given) {
		oneOfEach(g)
		for _, name := range []string{"write", "truncate", "chown", "read", "chmod"} {
			g.mine(name, 0o755)
			g.xattr(name, "security.capability", capNetBind)
		}
	}, when: func(c *client) {
		fd := c.open("write", unix.O_WRONLY, 0)
		c.write(fd, "x")
		c.did("truncate", unix.Truncate("truncate", 3))
		c.did("chown", unix.Chown("chown", -1, unix.Getgid()))
		c.contents("read")
		c.did("chmod", unix.Chmod("chmod", 0o711))
		for _, name := range []string{"write", "truncate", "chown", "read", "chmod"} {
			c.getxattr(name, "security.capability", 100)
		}
		c.did("set", unix.Setxattr("file", "security.capability", []byte(capNetBind), 0))
		c.did("set nonsense", unix.Setxattr("file", "security.capability", []byte("nonsense"), 0))
		c.getxattr("file", "security.capability", 100)
	}},
}

// capNetBind is a vfs_cap_data of revision 2 with CAP_NET_BIND_SERVICE.
const capNetBind = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// xattrs sets an attribute, reads, lists and removes it.
func (c *client) xattrs(name, attr string) {
	c.did(fmt.Sprintf("set %s of %s", short(attr), name), unix.Lsetxattr(name, attr, []byte("value"), 0))
	c.getxattr(name, attr, 100)
	c.listxattr(name, 1000)
	c.did("remove", unix.Lremovexattr(name, attr))
	c.did("remove again", unix.Lremovexattr(name, attr))
}

func (c *client) getxattr(name, attr string, size int) {
	buf := make([]byte, size)
	n, err := unix.Lgetxattr(name, attr, buf)
	c.did(fmt.Sprintf("get %s of %s: %d, %s", short(attr), name, n, short(string(buf[:min(max(n, 0), size)]))), err)
}

// listxattr notes the names, sorted: their order means nothing.
func (c *client) listxattr(name string, size int) {
	buf := make([]byte, size)
	n, err := unix.Llistxattr(name, buf)
	names := strings.Split(string(buf[:min(max(n, 0), size)]), "\x00")
	slices.Sort(names)
	c.did(fmt.Sprintf("list of %s: %d %q", name, n, names), err)
}

// An acl is a list of entries of an access control list.
type acl []aclEntry

type aclEntry struct {
	tag, perm uint16
	id        uint32
}

// Tags of linux/posix_acl.h.
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
	aclNobody   = ^uint32(0)

	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// encode is the form that setxattr(2) takes: linux/posix_acl_xattr.h.
func (a acl) encode() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range a {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// simple is an ACL that gives a user, a group and the mask these permissions.
func simple(userObj, user, groupObj, group, mask, other uint16) acl {
	return acl{
		{aclUserObj, userObj, aclNobody}, {aclUser, user, nobody}, {aclGroupObj, groupObj, aclNobody},
		{aclGroup, group, staff}, {aclMask, mask, aclNobody}, {aclOther, other, aclNobody},
	}
}
