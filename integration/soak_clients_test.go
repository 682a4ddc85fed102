//go:build linux

package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/integration/daemon"
	"github.com/clonefs/clonefs/vdi"
)

const (
	soakClients = 64
	soakComing  = 200 // volumes that come and go meanwhile
	soakBlocks  = 256
	soakBlock   = 4096
)

// Each of many clients finds what it has written, and nothing of another's, while
// hundreds of volumes come and go.
func TestManyClientsFindTheirOwnDataWhileVolumesComeAndGo(t *testing.T) {
	requireRoot(t)
	long := soakTime(t)
	source := t.TempDir()
	for i := range soakClients {
		makeClone(t, source, fmt.Sprintf("client-%d", i))
	}
	m := daemon.Start(t, source, t.TempDir())
	require.Len(t, names(t, m.Dir), soakClients)
	before := awaitWatching(t, m.PID())

	var running sync.WaitGroup
	var stop atomic.Bool
	time.AfterFunc(long, func() { stop.Store(true) })
	goOn := func() bool { return !stop.Load() && !t.Failed() }
	clients := make([]*soakClient, soakClients)
	for i := range clients {
		c := &soakClient{volume: fmt.Sprintf("client-%d", i), number: uint32(i), dir: m.Dir}
		clients[i] = c
		c.presented = presented(t, "dir:"+c.volume)
		running.Go(func() {
			if err := c.run(goOn); err != nil {
				t.Errorf("%s: %v", c.volume, err)
			}
		})
	}
	rounds := 0
	for ; goOn(); rounds++ {
		comeAndGo(t, source, m.Dir)
	}
	running.Wait()
	written, verified := 0, 0
	for _, c := range clients {
		written, verified = written+c.written, verified+c.verified
	}
	t.Logf("%v: %d volumes came and went; %d blocks written, %d verified", long, rounds*soakComing, written, verified)
	require.Positive(t, rounds)
	require.Positive(t, verified)
	require.Len(t, names(t, m.Dir), soakClients)
	for i := range soakClients {
		stored := filepath.Join(source, fmt.Sprintf("client-%d", i), "disk.vdi")
		require.Equal(t, uuidOf(t, "../vdi/testdata/vbox-7.2-dynamic.bin"), uuidOf(t, stored))
	}
	requireNothingLeftOpen(t, m.PID(), before, soakClients)
}

func makeClone(t *testing.T, source, name string) {
	require.NoError(t, os.Mkdir(filepath.Join(source, name), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(source, name, "disk.vdi"), realHeader(t), 0o600))
}

// comeAndGo makes volumes, looks at some of them through the mount, and removes
// them again.
func comeAndGo(t *testing.T, source, mounted string) {
	t.Helper()
	name := func(i int) string { return fmt.Sprintf("passing-%d", i) }
	for i := range soakComing {
		makeClone(t, source, name(i))
	}
	for i := 0; i < soakComing; i += 10 {
		require.Equal(t, presented(t, "dir:"+name(i)), uuidOf(t, filepath.Join(mounted, name(i), "disk.vdi")))
	}
	for i := range soakComing {
		require.NoError(t, os.RemoveAll(filepath.Join(source, name(i))))
	}
}

// A soakClient uses an image of its own, and remembers what must be in it: of each
// block, how often it was written.
type soakClient struct {
	dir, volume, presented string

	number   uint32
	versions [soakBlocks]uint32

	written, verified int // blocks
}

func (c *soakClient) run(goOn func() bool) error {
	for goOn() {
		f, err := os.OpenFile(filepath.Join(c.dir, c.volume, "disk.vdi"), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		for step := 0; step < 100 && err == nil && goOn(); step++ {
			err = c.step(f)
		}
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// step writes or checks a block, or does what VirtualBox does to a header.
func (c *soakClient) step(f *os.File) error {
	i := rand.IntN(soakBlocks)
	switch what := rand.IntN(40); {
	case what == 0:
		return f.Sync()
	case what == 1:
		return c.useHeader(f)
	case what < 20:
		c.versions[i]++
		c.written++
		_, err := f.WriteAt(c.block(i), c.offset(i))
		return err
	case c.versions[i] == 0:
		return nil
	}
	got := make([]byte, soakBlock)
	if _, err := f.ReadAt(got, c.offset(i)); err != nil {
		return err
	}
	if !bytes.Equal(got, c.block(i)) {
		return fmt.Errorf("block %d is not what was written; it begins with %x", i, got[:16])
	}
	c.verified++
	return nil
}

func (c *soakClient) offset(block int) int64 { return 1<<20 + int64(block)*soakBlock }

// block is what a block has in it: whose it is, which, and how often written.
func (c *soakClient) block(i int) []byte {
	var stamp []byte
	for _, n := range []uint32{c.number, uint32(i), c.versions[i], ^c.versions[i]} {
		stamp = binary.LittleEndian.AppendUint32(stamp, n)
	}
	return bytes.Repeat(stamp, soakBlock/len(stamp))
}

func (c *soakClient) useHeader(f *os.File) error {
	if err := writeBackHeader(f, byte(rand.IntN(256))); err != nil {
		return err
	}
	header := make([]byte, vdi.HeaderSize)
	if _, err := f.ReadAt(header, 0); err != nil {
		return err
	}
	h, err := vdi.Parse(header)
	if err == nil && h.Create.String() != c.presented {
		err = fmt.Errorf("the image shows %s instead of %s", h.Create, c.presented)
	}
	return err
}
