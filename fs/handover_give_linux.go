package fs

import (
	"syscall"
	"time"

	"github.com/clonefs/clonefs/fs/connection"
)

// Suspend stops answering requests, once those in work have come to their end, and
// returns by what another process can go on. Clients that ask for something wait
// meanwhile. The descriptors stay this process's own: it either sends them to another
// that adopts the mount, and calls Leave, or calls Resume.
//
// Where requests do not come to an end in time, and where the mount has ended, it
// returns an error, and this process goes on.
func (s *Server) Suspend(patience time.Duration) (*Handover, error) {
	c, ok := s.mirror.kernel.(*connection.Connection)
	if !ok {
		return nil, syscall.EOPNOTSUPP
	}
	if err := c.Suspend(patience); err != nil {
		return nil, err
	}
	h, err := s.mirror.handOver(c, s.mountpoint)
	if err != nil {
		s.Resume()
	}
	return h, err
}

// Resume goes on answering requests.
func (s *Server) Resume() { s.mirror.kernel.(*connection.Connection).Resume() }

// Leave leaves the mount to a process that has adopted it. Wait returns then.
func (s *Server) Leave() {
	s.left.Store(true)
	s.mirror.kernel.(*connection.Connection).Leave()
}

// A giver collects what a handover is made of.
type giver struct {
	state
	files   []int
	volumes map[*volume]int
}

func (m *mirror) handOver(c *connection.Connection, mountpoint string) (*Handover, error) {
	g := giver{volumes: map[*volume]int{}}
	device, agreed := c.Device()
	g.state = state{
		Version: stateVersion, Terms: termsOf(mountpoint, m.options), Device: g.descriptor(device), Agreed: agreed, Since: m.since,
	}
	g.addTree(m.tree)
	if err := g.addNodes(m.inodes); err != nil {
		return nil, err
	}
	g.addFiles(&m.raw.files)
	g.addDirectories(&m.raw.directories)
	encoded, err := g.encode()
	return &Handover{encoded, g.files}, err
}

func (g *giver) descriptor(fd int) int {
	g.files = append(g.files, fd)
	return len(g.files) - 1
}

func (g *giver) addTree(t *tree) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g.Instances = t.instances
	for _, v := range t.volumes {
		g.Volumes[g.volume(v)].Current = true
	}
}

// volume returns the index of a volume, which may be one that is gone.
func (g *giver) volume(v *volume) int {
	if v == nil {
		return none
	}
	if index, ok := g.volumes[v]; ok {
		return index
	}
	g.volumes[v] = len(g.Volumes)
	g.Volumes = append(g.Volumes, volumeState{Volume: v.Volume, Instance: v.instance, Outdated: v.outdated.Load()})
	return g.volumes[v]
}

func (g *giver) addNodes(t *inodes) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g.LastNode = t.last
	for _, n := range t.byID {
		orphan, err := g.orphan(n)
		if err != nil {
			return err
		}
		saved := nodeState{
			ID: n.nodeID, Lookups: n.lookups, Volume: g.volume(n.vol),
			Inode: inodeState{n.id.dev, n.id.ino, n.id.birth},
			Place: n.place, IsPlace: n.isPlace, Former: t.byKey[n.key()] != n, Orphan: orphan,
			Backing: backingState{n.backing.decided, n.backing.plain, n.backing.id, n.backing.files},
		}
		for _, a := range n.aliases {
			saved.Aliases = append(saved.Aliases, aliasState{a.dir.nodeID, a.name})
		}
		g.Nodes = append(g.Nodes, saved)
	}
	return nil
}

func (g *giver) orphan(n *node) (descriptor int, err error) {
	f := n.orphan.Load()
	if f == nil {
		return none, nil
	}
	conn, err := f.SyscallConn()
	if err == nil {
		err = conn.Control(func(fd uintptr) { descriptor = g.descriptor(int(fd)) })
	}
	return descriptor, err
}

func (g *giver) addFiles(files *handles[file]) {
	for handle, f := range files.all() {
		g.Files = append(g.Files, openState{
			Handle: handle, Node: f.node.nodeID, Volume: g.volume(f.vol), Descriptor: g.descriptor(f.fd),
			Dev: f.key.dev, Ino: f.key.ino, Writable: f.writable, Backing: f.backing,
		})
	}
}

func (g *giver) addDirectories(directories *handles[directory]) {
	for handle, d := range directories.all() {
		g.Directories = append(g.Directories, directoryState{handle, d.node.nodeID, d.listed, d.entries})
	}
}
