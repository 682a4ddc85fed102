package fs

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clonefs/clonefs/vdi"
)

func newTestTree(names ...string) *tree {
	t := newTree(vdi.KeepGuestSerial)
	for _, name := range names {
		t.put(Volume{Name: name, Identity: "zfs:" + name})
	}
	return t
}

func (t *tree) sortedNames(place string) []string {
	names := t.names(place)
	slices.Sort(names)
	return names
}

func TestEveryPlaceThatLeadsToAVolumeExists(t *testing.T) {
	tree := newTestTree("a/b/c", "a/d", "e")
	for _, place := range []string{"", "a", "a/b", "a/b/c", "a/d", "e"} {
		require.True(t, tree.exists(place), place)
	}
	for _, place := range []string{"b", "a/b/c/d", "f"} {
		require.False(t, tree.exists(place), place)
	}
	require.Equal(t, []string{"a", "e"}, tree.sortedNames(""))
	require.Equal(t, []string{"b", "d"}, tree.sortedNames("a"))
	require.Nil(t, tree.volume("a"), "a leads to volumes, but is none")
}

func TestADroppedVolumeTakesItsEmptyPlacesAlong(t *testing.T) {
	tree := newTestTree("a/b/c", "a/d", "a/b")
	require.True(t, tree.drop("a/b/c"))
	require.False(t, tree.drop("a/b/c"), "it is gone already")
	require.True(t, tree.exists("a/b"), "still a volume")
	require.True(t, tree.drop("a/b"))
	require.False(t, tree.exists("a/b"))
	require.True(t, tree.exists("a"), "still leads to a/d")
	require.True(t, tree.drop("a/d"))
	require.False(t, tree.exists("a"))
	require.True(t, tree.exists(""), "the top is always there")
	require.Empty(t, tree.children)
}

func TestReplaceTellsWhatChanged(t *testing.T) {
	tree := newTestTree("a", "b", "c")
	b := tree.volume("b")
	changed := tree.replace([]Volume{{Name: "a", Identity: "zfs:other"}, {Name: "b", Identity: "zfs:b"}, {Name: "d"}})
	slices.Sort(changed)
	require.Equal(t, []string{"a", "c", "d"}, changed)
	require.Same(t, b, tree.volume("b"), "an unchanged volume stays the one it was")
	require.Nil(t, tree.volume("c"))
}

func TestAVolumeThatIsMadeAnewIsAnotherInstance(t *testing.T) {
	tree := newTestTree("a")
	first := tree.volume("a")
	tree.drop("a")
	tree.put(Volume{Name: "a", Identity: "zfs:a"})
	second := tree.volume("a")
	require.NotEqual(t, first.instance, second.instance)
	require.Equal(t, first.mask, second.mask, "the same identity gives the same UUIDs")
	require.Equal(t, first.salt, second.salt, "and the same inode numbers")
}

func TestAnIdentityDoesNotChangeUnderAnOpenFile(t *testing.T) {
	tree := newTestTree("a")
	before := tree.volume("a")
	before.open.Add(1)
	require.False(t, tree.put(Volume{Name: "a", Identity: "name:pinned"}))
	require.Same(t, before, tree.volume("a"))
	require.True(t, before.outdated.Load(), "the last close has to ask again")
	before.open.Add(-1)
	require.True(t, tree.put(Volume{Name: "a", Identity: "name:pinned"}))
	require.Equal(t, "name:pinned", tree.volume("a").Identity)
}

func TestInodeNumbersDifferBetweenClones(t *testing.T) {
	seen := map[uint64]bool{}
	for _, identity := range []string{"zfs:1", "zfs:2", "zfs:3"} {
		v := newVolume(Volume{Identity: identity}, vdi.KeepGuestSerial, 1)
		for ino := range uint64(1000) {
			for dev := range uint64(3) {
				number := v.inode(fileID{dev: dev, ino: ino})
				require.False(t, seen[number])
				require.Greater(t, number, uint64(rootInode))
				require.Less(t, number, uint64(1)<<63)
				seen[number] = true
			}
		}
	}
}

func TestVolumesWithOneIdentityAreTwins(t *testing.T) {
	tree := newTestTree("a", "b")
	require.Empty(t, tree.twins(tree.volume("a")))
	tree.put(Volume{Name: "b", Identity: "zfs:a"})
	tree.put(Volume{Name: "c/d", Identity: "zfs:a"})
	require.Equal(t, []string{"b", "c/d"}, tree.twins(tree.volume("a")))
	require.Equal(t, []string{"a", "c/d"}, tree.twins(tree.volume("b")))
	tree.put(Volume{Name: "b", Identity: "zfs:other"})
	tree.drop("c/d")
	require.Empty(t, tree.twins(tree.volume("a")))
	tree.drop("a")
	tree.drop("b")
	require.Empty(t, tree.places)
}

// A volume that is looked up while the source is being listed is not dropped for not
// being in the list.
func TestAVolumeThatComesDuringAListingStays(t *testing.T) {
	tree := newTree(vdi.KeepGuestSerial)
	tree.put(Volume{Name: "old"})
	tree.put(Volume{Name: "gone"})
	changed := tree.refresh(func() []Volume {
		listed := []Volume{{Name: "old"}}
		tree.put(Volume{Name: "new"})
		return listed
	})
	require.Equal(t, []string{"gone"}, changed)
	require.False(t, tree.volume("new").gone.Load())
	require.Equal(t, []string{"new"}, tree.refresh(func() []Volume { return []Volume{{Name: "old"}} }))
}
