package fs

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs/connection"
)

// Adopt prepares to serve a mount in the place of another process that has suspended
// it. The descriptors in h are this process's own, as it has received them. The mount
// answers when Resume is called, which must be when the other process has left; until
// then that may still resume, and this one end.
//
// The source, and those options that belong to the mount and not to who serves it, must
// be what they are there. It sets the umask of the process to 0, as Mount does.
func Adopt(mountpoint string, source Source, options Options, h *Handover) (*Server, error) {
	unix.Umask(0)
	s, err := decodeState(h.State)
	if err != nil {
		return nil, err
	}
	if err := s.Terms.check(termsOf(mountpoint, options)); err != nil {
		return nil, fmt.Errorf("adopt the mount at %s, where not all is as it is to be here: %w", mountpoint, err)
	}
	m := newMirror(source, options)
	t := &taker{state: s, files: h.Files, mirror: m, nodes: map[uint64]*node{}}
	if err := t.take(mountpoint); err != nil {
		return nil, fmt.Errorf("adopt the mount at %s: %w", mountpoint, err)
	}
	m.enableNative()
	m.refresh()
	return m.serve(mountpoint), nil
}

// A taker puts together again what a giver has taken apart.
type taker struct {
	*state
	files   []int
	mirror  *mirror
	volumes []*volume
	nodes   map[uint64]*node
}

// take does so in the order in which one thing needs the other.
func (t *taker) take(mountpoint string) error {
	t.mirror.since = t.Since
	t.takeVolumes()
	for _, step := range []func() error{t.checkDescriptors, t.takeNodes, t.takeAliases, t.takeFiles, t.takeDirectories} {
		if err := step(); err != nil {
			return err
		}
	}
	c := connection.New(*t.mirror.mountOptions())
	if err := c.Adopt(mountpoint, t.mirror.raw, t.files[t.Device], t.Agreed); err != nil {
		return err
	}
	t.mirror.kernel = c
	t.takeOrphans() // the last: until here the descriptors are the caller's
	return nil
}

// checkDescriptors returns an error unless each descriptor is spoken of once.
func (t *taker) checkDescriptors() error {
	wanted := []int{t.Device}
	for _, n := range t.Nodes {
		if n.Orphan != none {
			wanted = append(wanted, n.Orphan)
		}
	}
	for _, f := range t.state.Files {
		wanted = append(wanted, f.Descriptor)
	}
	slices.Sort(wanted)
	for i, index := range wanted {
		if index != i || len(wanted) != len(t.files) {
			return fmt.Errorf("%d descriptors have come, of which %d are spoken of", len(t.files), len(wanted))
		}
	}
	return nil
}

func (t *taker) takeOrphans() {
	for _, saved := range t.Nodes {
		if saved.Orphan != none {
			t.nodes[saved.ID].orphaned(os.NewFile(uintptr(t.files[saved.Orphan]), "orphan"))
		}
	}
}

func (t *taker) takeVolumes() {
	tree := t.mirror.tree
	tree.mu.Lock()
	defer tree.mu.Unlock()
	for _, saved := range t.Volumes {
		v := newVolume(saved.Volume, tree.serial, saved.Instance)
		v.outdated.Store(saved.Outdated)
		v.gone.Store(!saved.Current)
		if saved.Current {
			tree.setLocked(v)
		}
		t.volumes = append(t.volumes, v)
	}
	tree.instances = t.Instances
}

func (t *taker) takeNodes() error {
	inodes := t.mirror.inodes
	inodes.last = t.LastNode
	t.nodes[t.mirror.root.nodeID] = t.mirror.root
	seen := map[uint64]bool{}
	for _, saved := range t.Nodes {
		if seen[saved.ID] || saved.ID == 0 || saved.ID > t.LastNode {
			return fmt.Errorf("node %d of %d is none, or said to be two", saved.ID, t.LastNode)
		}
		seen[saved.ID] = true
		n := t.nodes[saved.ID]
		if n == nil {
			n = &node{mirror: t.mirror, id: fileID{saved.Inode.Dev, saved.Inode.Ino, saved.Inode.Birth}, place: saved.Place, isPlace: saved.IsPlace}
			var err error
			if n.vol, err = t.volume(saved.Volume); err != nil {
				return err
			}
			if n.vol == nil && !n.isPlace {
				return fmt.Errorf("node %d is of no volume", saved.ID)
			}
			t.nodes[saved.ID], inodes.byID[saved.ID] = n, n
			if !saved.Former {
				inodes.byKey[n.key()] = n
			}
		}
		n.nodeID, n.lookups = saved.ID, saved.Lookups
		n.backing.decided, n.backing.plain = saved.Backing.Decided, saved.Backing.Plain
		n.backing.id, n.backing.files = saved.Backing.ID, saved.Backing.Files
	}
	return nil
}

func (t *taker) takeAliases() error {
	for _, saved := range t.Nodes {
		for _, a := range saved.Aliases {
			dir, err := t.node(a.Dir)
			if err != nil {
				return err
			}
			t.mirror.inodes.setName(dir, a.Name, t.nodes[saved.ID])
		}
	}
	return nil
}

func (t *taker) takeFiles() error {
	files := map[uint64]*file{}
	for _, saved := range t.state.Files {
		n, err := t.node(saved.Node)
		if err != nil {
			return err
		}
		vol, err := t.volume(saved.Volume)
		if err != nil {
			return err
		}
		if vol == nil || !isHandle(saved.Handle) || files[saved.Handle] != nil {
			return fmt.Errorf("file %d is of no volume, or none, or said to be two", saved.Handle)
		}
		f := registerFile(&file{
			node: n, vol: vol, fd: t.files[saved.Descriptor], key: fileKey{saved.Dev, saved.Ino},
			writable: saved.Writable, backing: saved.Backing,
		})
		n.files.add(f)
		files[saved.Handle] = f
	}
	t.mirror.raw.files.restore(files)
	return nil
}

func (t *taker) takeDirectories() error {
	directories := map[uint64]*directory{}
	for _, saved := range t.Directories {
		n, err := t.node(saved.Node)
		if err != nil {
			return err
		}
		if !isHandle(saved.Handle) || directories[saved.Handle] != nil {
			return fmt.Errorf("directory %d is none, or said to be two", saved.Handle)
		}
		directories[saved.Handle] = &directory{node: n, listed: saved.Listed, entries: saved.Entries}
	}
	t.mirror.raw.directories.restore(directories)
	return nil
}

// isHandle tells whether a handle can be one: there are never that many files open at
// once, and all below the largest one take room.
func isHandle(handle uint64) bool { return 0 < handle && handle < 1<<24 }

func (t *taker) node(id uint64) (*node, error) {
	if n := t.nodes[id]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("of node %d nothing is said", id)
}

// volume returns the volume with an index, nil for none.
func (t *taker) volume(index int) (*volume, error) {
	if index == none {
		return nil, nil
	}
	if index < 0 || index >= len(t.volumes) {
		return nil, fmt.Errorf("of volume %d nothing is said", index)
	}
	return t.volumes[index], nil
}
