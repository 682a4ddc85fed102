package integration

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDataIsReadAndWrittenAsOnTheBackingFileSystem(t *testing.T) {
	compare(t, "data", root, plainUser)
}

var dataScenarios = []scenario{
	{name: "a file grows and shrinks, and what was cut off is zeros", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDWR, 0)
		for _, size := range []int64{15, 3, 600, 512, 511, 5000, 4096, 100, 0, 20} {
			c.did(fmt.Sprintf("truncate to %d", size), unix.Ftruncate(fd, size))
			c.content(fd)
			c.fstat(fd)
		}
		for _, size := range []int64{-1, 1 << 62} {
			c.did(fmt.Sprintf("truncate to %d", size), unix.Ftruncate(fd, size))
		}
		c.did("truncate for reading", unix.Ftruncate(c.open("file", unix.O_RDONLY, 0), 0))
		c.did("truncate a directory", unix.Truncate("directory", 0))
	}},
	{name: "writing leaves a hole where nothing was written", when: func(c *client) {
		fd := c.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
		c.pwrite(fd, "far out", 1<<20)
		c.pwrite(fd, "farther", 1<<32)
		c.did("fsync", unix.Fsync(fd))
		c.layout(fd)
		c.content(fd)
	}},
	{name: "data and holes are found where they are", when: func(c *client) {
		fd := c.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
		c.layout(fd)
		c.pwrite(fd, strings.Repeat("x", 100), 0)
		c.pwrite(fd, strings.Repeat("x", 8192), 65536)
		c.did("grow", unix.Ftruncate(fd, 1<<18))
		c.did("fsync", unix.Fsync(fd))
		c.layout(fd)
		for _, off := range []int64{0, 99, 65536, 65537, 70000, 1<<18 - 1, 1 << 18, 1 << 19, -1} {
			for _, whence := range []int{unix.SEEK_DATA, unix.SEEK_HOLE, unix.SEEK_SET, unix.SEEK_END} {
				at, err := unix.Seek(fd, off, whence)
				c.did(fmt.Sprintf("seek %d from %d: %d", off, whence, at), err)
			}
		}
	}},
	{name: "space is allocated, and holes are punched", when: func(c *client) {
		fd := c.open("file", unix.O_CREAT|unix.O_RDWR, 0o644)
		c.did("allocate", unix.Fallocate(fd, 0, 0, 1<<20))
		c.pwrite(fd, strings.Repeat("data", 4096), 0)
		for _, mode := range []uint32{unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE} {
			c.did(fmt.Sprintf("mode %#x", mode), unix.Fallocate(fd, mode, 4096, 8192))
			c.did(fmt.Sprintf("mode %#x beyond the end", mode), unix.Fallocate(fd, mode, 1<<21, 4096))
			c.fstat(fd)
			c.content(fd)
		}
		c.did("nothing", unix.Fallocate(fd, 0, 0, 0))
		c.did("before the start", unix.Fallocate(fd, 0, -1, 10))
		c.did("of who only reads", unix.Fallocate(c.open("file", unix.O_RDONLY, 0), 0, 0, 10))
	}},
	{name: "what is punched is a hole, what is only allocated too", when: func(c *client) {
		punched, allocated := c.open("punched", unix.O_CREAT|unix.O_RDWR, 0o644), c.open("allocated", unix.O_CREAT|unix.O_RDWR, 0o644)
		c.pwrite(punched, strings.Repeat("data", 1<<14), 0)
		c.did("fsync", unix.Fsync(punched))
		c.did("punch", unix.Fallocate(punched, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 8192, 1<<14))
		c.layout(punched)
		// A page that was read counts as data where ext4 has only allocated
		// it, so nobody may read here.
		c.did("allocate", unix.Fallocate(allocated, 0, 0, 1<<20))
		c.layout(allocated)
	}},
	{name: "a position is where reading and writing left it", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDWR, 0)
		buf := make([]byte, 4)
		_, err := unix.Read(fd, buf)
		c.did(fmt.Sprintf("read %q", buf), err)
		c.write(fd, "HERE")
		at, err := unix.Seek(fd, -2, unix.SEEK_CUR)
		c.did(fmt.Sprintf("at %d", at), err)
		c.write(fd, "?")
		at, err = unix.Seek(fd, 100, unix.SEEK_END)
		c.did(fmt.Sprintf("at %d", at), err)
		c.write(fd, "end")
		c.content(fd)
		_, err = unix.Seek(fd, -1, unix.SEEK_SET)
		c.did("before the start", err)
	}},
	{name: "reading and writing in vain", given: oneOfEach, when: func(c *client) {
		r, w := c.open("file", unix.O_RDONLY, 0), c.open("file", unix.O_WRONLY, 0)
		c.write(r, "x")
		c.content(w)
		c.pwrite(w, "x", -1)
		c.content(c.open("directory", unix.O_RDONLY, 0))
		n, err := unix.Pread(r, make([]byte, 10), 1000)
		c.did(fmt.Sprintf("read beyond the end: %d", n), err)
		c.pwrite(w, "x", 1<<62)
		c.pwrite(w, "", 5000)
		c.fstat(w)
	}},
	{name: "a file is no bigger than a process may make it", given: oneOfEach, when: func(c *client) {
		c.otherProcess("write-under-limit", "file")
		c.stat("file")
	}},
	{name: "many buffers are read and written as one", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDWR, 0)
		n, err := unix.Pwritev(fd, [][]byte{[]byte("one "), nil, []byte("two "), []byte(strings.Repeat("three ", 2000))}, 500)
		c.did(fmt.Sprintf("write %d", n), err)
		bufs := [][]byte{make([]byte, 510), make([]byte, 3), make([]byte, 20000)}
		n, err = unix.Preadv(fd, bufs, 0)
		c.did(fmt.Sprintf("read %d %q %q", n, bufs[1], bufs[2][:10]), err)
	}},
	{name: "synchronous and direct writing is writing", when: func(c *client) {
		for _, flag := range []int{unix.O_SYNC, unix.O_DSYNC, unix.O_DIRECT} {
			name := fmt.Sprint("file", flag)
			fd := c.open(name, unix.O_CREAT|unix.O_RDWR|flag, 0o644)
			buf := alignedBuffer(8192)
			copy(buf, "directly")
			for _, off := range []int64{0, 4096, 16384} {
				n, err := unix.Pwrite(fd, buf, off)
				c.did(fmt.Sprintf("write %d", n), err)
			}
			clear(buf)
			n, err := unix.Pread(fd, buf, 4096)
			c.did(fmt.Sprintf("read %d %q", n, buf[:20]), err)
			c.did("fdatasync", unix.Fdatasync(fd))
			c.stat(name)
		}
	}},
	{name: "files and directories are brought to the disk", given: oneOfEach, when: func(c *client) {
		for _, name := range []string{"file", "directory", "."} {
			fd := c.open(name, unix.O_RDONLY, 0)
			c.did("fsync", unix.Fsync(fd))
			c.did("fdatasync", unix.Fdatasync(fd))
			c.did("syncfs", unix.Syncfs(fd))
			c.did("range", unix.SyncFileRange(fd, 0, 100, unix.SYNC_FILE_RANGE_WRITE))
		}
	}},
	{name: "advice is taken", given: oneOfEach, when: func(c *client) {
		fd := c.open("file", unix.O_RDONLY, 0)
		for _, advice := range []int{unix.FADV_NORMAL, unix.FADV_SEQUENTIAL, unix.FADV_RANDOM, unix.FADV_WILLNEED, unix.FADV_DONTNEED, 77} {
			c.did(fmt.Sprintf("advice %d", advice), unix.Fadvise(fd, 0, 0, advice))
		}
	}},
}

// layout notes where a file has data.
func (c *client) layout(fd int) {
	var s unix.Stat_t
	must(unix.Fstat(fd, &s))
	for off := int64(0); off < s.Size; {
		from, err := unix.Seek(fd, off, unix.SEEK_DATA)
		if err != nil {
			c.did("no more data", err)
			break
		}
		off, err = unix.Seek(fd, from, unix.SEEK_HOLE)
		c.did(fmt.Sprintf("data from %d to %d", from, off), err)
	}
	c.note("size %d, blocks for %d KiB", s.Size, s.Blocks/2)
}

// alignedBuffer begins at a multiple of a page, as direct I/O wants it.
func alignedBuffer(size int) []byte {
	buf, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	must(err)
	return buf
}
