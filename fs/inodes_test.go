package fs

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A grove is a table of inodes to try things on, where a node is named by its number
// below.
type grove struct {
	*inodes
	top *node
}

func newGrove() grove {
	top := &node{isPlace: true}
	return grove{newInodes(top), top}
}

// look is a lookup of what has an inode number below.
func (g grove) look(dir *node, name string, inode uint64) *node {
	return g.enter(dir, name, &node{id: fileID{ino: inode}}, false)
}

func (g grove) requirePath(t *testing.T, want string, n *node) {
	t.Helper()
	path, err := g.path(n)
	require.NoError(t, err)
	require.Equal(t, want, path)
}

func (g grove) requireNoPath(t *testing.T, n *node) {
	t.Helper()
	_, err := g.path(n)
	require.ErrorIs(t, err, syscall.ESTALE)
}

func TestTwoLookupsOfOneThingAreOneNode(t *testing.T) {
	g := newGrove()
	first := g.look(g.top, "a", 7)
	require.Same(t, first, g.look(g.top, "a", 7))
	require.Same(t, first, g.look(g.top, "link", 7))
	require.NotSame(t, first, g.look(g.top, "b", 8))
	require.Same(t, first, g.node(first.nodeID))
	g.requirePath(t, "link", first) // the name that was looked up last
	require.Same(t, first, g.look(g.top, "a", 7))
	g.requirePath(t, "a", first)
}

func TestWhatIsMadeIsANodeOfItsOwnThoughItHasAnInodeNumberThatWasUsed(t *testing.T) {
	g := newGrove()
	old := g.look(g.top, "old", 7)
	made := g.enter(g.top, "new", &node{id: fileID{ino: 7}}, true)
	require.NotEqual(t, old.nodeID, made.nodeID)
	g.forget(old.nodeID, 1)
	require.Same(t, made, g.look(g.top, "new", 7), "what is forgotten is the old one")
}

func TestANodeIsForgottenWithItsLastLookup(t *testing.T) {
	g := newGrove()
	n := g.look(g.top, "a", 7)
	g.look(g.top, "a", 7)
	require.Empty(t, g.forget(n.nodeID, 1))
	require.Equal(t, []*node{n}, g.forget(n.nodeID, 1))
	require.Nil(t, g.node(n.nodeID))
	require.Nil(t, g.child(g.top, "a"))
	require.Empty(t, g.forget(n.nodeID, 1), "it is gone already")
	again := g.look(g.top, "a", 7)
	require.Greater(t, again.nodeID, n.nodeID, "a number is never given again")
}

func TestADirectoryStaysForThePathOfWhatIsBelow(t *testing.T) {
	g := newGrove()
	dir := g.look(g.top, "dir", 1)
	below := g.look(dir, "below", 2)
	file := g.look(below, "file", 3)
	require.Empty(t, g.forget(dir.nodeID, 1))
	require.Empty(t, g.forget(below.nodeID, 1))
	g.requirePath(t, "dir/below/file", file)
	require.Same(t, dir, g.look(g.top, "dir", 1))
	g.forget(dir.nodeID, 1)
	require.ElementsMatch(t, []*node{file, below, dir}, g.forget(file.nodeID, 1))
	require.Len(t, g.byID, 1)
	require.Empty(t, g.byKey)
	require.Empty(t, g.top.children)
}

func TestTheTopIsNeverForgotten(t *testing.T) {
	g := newGrove()
	require.Empty(t, g.forget(g.top.nodeID, 1))
	require.Same(t, g.top, g.node(1))
}

func TestANodeWhoseLastNameIsRemovedHasNoPath(t *testing.T) {
	g := newGrove()
	n := g.look(g.top, "a", 7)
	g.look(g.top, "b", 7)
	require.False(t, g.remove(g.top, "b"))
	g.requirePath(t, "a", n)
	require.True(t, g.remove(g.top, "a"))
	g.requireNoPath(t, n)
	require.False(t, g.remove(g.top, "a"), "there is no such name any more")
	require.Same(t, n, g.node(n.nodeID), "the kernel knows it")
}

func TestANameThatIsAnothersNowIsNotTheOldOnes(t *testing.T) {
	g := newGrove()
	old := g.look(g.top, "a", 7)
	now := g.look(g.top, "a", 8)
	g.requireNoPath(t, old)
	g.requirePath(t, "a", now)
	g.forget(old.nodeID, 1)
	require.Same(t, now, g.child(g.top, "a"))
}

func TestARenameTakesWhatIsBelowAlong(t *testing.T) {
	g := newGrove()
	from, to := g.look(g.top, "from", 1), g.look(g.top, "to", 2)
	moved := g.look(from, "x", 3)
	below := g.look(moved, "below", 4)
	replaced := g.look(to, "y", 5)
	g.rename(from, "x", to, "y", false)
	g.requirePath(t, "to/y/below", below)
	g.requireNoPath(t, replaced)
	require.Nil(t, g.child(from, "x"))
}

func TestAnExchangeGivesEachTheOthersName(t *testing.T) {
	g := newGrove()
	dir := g.look(g.top, "dir", 1)
	a, b := g.look(dir, "a", 2), g.look(g.top, "b", 3)
	g.rename(dir, "a", g.top, "b", true)
	g.requirePath(t, "b", a)
	g.requirePath(t, "dir/a", b)
}

func TestARenameOfWhatNobodyKnowsReplacesWhatIsKnown(t *testing.T) {
	g := newGrove()
	known := g.look(g.top, "known", 1)
	g.rename(g.top, "unknown", g.top, "known", false)
	g.requireNoPath(t, known)
}

// As when somebody moves directories into one another behind the mount, just as they
// are looked up.
func TestDirectoriesThatSeemToLieInOneAnotherHaveNoPath(t *testing.T) {
	g := newGrove()
	a := g.look(g.top, "a", 1)
	b := g.look(a, "b", 2)
	g.look(b, "a", 1)
	g.requireNoPath(t, a)
	g.requireNoPath(t, b)
	g.look(g.top, "a", 1)
	g.requirePath(t, "a/b", b)
}
