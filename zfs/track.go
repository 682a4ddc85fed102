package zfs

import "slices"

// tracked is a mount with a number that no other mount ever had: the kernel gives
// mount IDs and device numbers again as soon as they are free, so that a file system
// which was destroyed and created again looks just like the one before.
type tracked struct {
	mount
	epoch uint64
	// doubted is the epoch of a mount that looked the same in the table before,
	// where this may be that mount or another; 0 where there is no doubt.
	doubted uint64
}

// A tracker numbers mounts.
type tracker struct {
	table []tracked
	last  uint64 // epoch
}

// look is what of a mount stays while it lives and is not moved. Its source does
// not: a dataset can be renamed under its mount.
type look struct {
	id, parent          int
	device              uint64
	root, point, fsType string
}

func (m mount) look() look { return look{m.id, m.parent, m.device, m.root, m.point, m.fsType} }

// update takes over a new table. Replaced says that a mount may have been replaced
// by one that looks the same; if not, what looks the same is.
//
// The kernel appends new mounts to the table, so the old ones are at its head, in
// their order, and what is followed by an old mount is old itself. But nothing
// proves it of the last one that looks old: between two readings it may have gone
// and another may have come. It is doubted, and so is what has lost its place in
// the order, as a mount does that was moved.
func (t *tracker) update(table []mount, replaced bool) {
	places := t.places(table)
	sure := ordered(places)
	if replaced {
		sure = max(0, sure-1)
	}
	fresh := make([]tracked, len(table))
	for i, m := range table {
		fresh[i] = t.number(m, places[i], i < sure)
	}
	t.table = fresh
}

// places says of every mount where in the table before was what looks like it, -1
// where there was nothing.
func (t *tracker) places(table []mount) []int {
	old := make(map[look]int, len(t.table))
	for i, m := range t.table {
		old[m.look()] = i
	}
	places := make([]int, len(table))
	for i, m := range table {
		place, ok := old[m.look()]
		if !ok {
			place = -1
		}
		places[i] = place
	}
	return places
}

// ordered counts the places at the head that are in ascending order.
func ordered(places []int) int {
	last := -1
	beyond := slices.IndexFunc(places, func(place int) bool {
		ascends := place > last
		last = place
		return !ascends
	})
	if beyond < 0 {
		return len(places)
	}
	return beyond
}

// number gives a mount its number; place is where it was in the table before.
func (t *tracker) number(m mount, place int, sure bool) tracked {
	if sure {
		return tracked{mount: m, epoch: t.table[place].epoch}
	}
	t.last++
	fresh := tracked{mount: m, epoch: t.last}
	if place >= 0 {
		fresh.doubted = t.table[place].epoch
	}
	return fresh
}
