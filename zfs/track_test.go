package zfs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMountKeepsItsNumberAsLongAsItIsCertainToBeTheSame(t *testing.T) {
	a, b, c, d := mount{id: 1}, mount{id: 2}, mount{id: 3}, mount{id: 4}
	renamed := mount{id: 2, source: "tank/new", readOnly: true}
	const same, doubted, fresh = "same", "doubted", "new"
	tests := map[string]struct {
		before, after []mount
		replaced      bool // whether there was an event
		want          []string
	}{
		"nothing happened":                   {[]mount{a, b}, []mount{a, b}, false, []string{same, same}},
		"renamed without an event":           {[]mount{a, b}, []mount{a, renamed}, false, []string{same, same}},
		"one was mounted":                    {[]mount{a, b}, []mount{a, b, c}, true, []string{same, doubted, fresh}},
		"one was unmounted":                  {[]mount{a, b, c}, []mount{a, c}, true, []string{same, doubted}},
		"the last was unmounted":             {[]mount{a, b, c}, []mount{a, b}, true, []string{same, doubted}},
		"an event without a trace":           {[]mount{a, b, c}, []mount{a, b, c}, true, []string{same, same, doubted}},
		"one was unmounted and mounted":      {[]mount{a, b, c}, []mount{a, c, b}, true, []string{same, doubted, doubted}},
		"one was replaced by another":        {[]mount{a, b}, []mount{a, d}, true, []string{doubted, fresh}},
		"one went, one came, one came again": {[]mount{a, b, c}, []mount{a, d, c}, true, []string{doubted, fresh, doubted}},
		"all are new":                        {nil, []mount{a, b}, true, []string{fresh, fresh}},
		"all are gone":                       {[]mount{a, b}, nil, true, nil},
		"one came before its event":          {[]mount{a}, []mount{a, b}, false, []string{same, fresh}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var tracker tracker
			tracker.update(test.before, false)
			before := tracker.table
			tracker.update(test.after, test.replaced)
			var got []string
			for _, m := range tracker.table {
				got = append(got, fate(before, m))
			}
			require.Equal(t, test.want, got)
		})
	}
}

// fate says what has become of a mount in a tracker's table.
func fate(before []tracked, m tracked) string {
	for _, was := range before {
		switch {
		case was.epoch == m.epoch && was.id == m.id:
			return "same"
		case was.epoch == m.doubted && was.id == m.id:
			return "doubted"
		}
	}
	return "new"
}

func TestNoNumberIsGivenTwice(t *testing.T) {
	var tracker tracker
	seen := make(map[uint64]bool)
	for range 10 {
		tracker.update([]mount{{id: 1}}, true)
		tracker.update(nil, true)
		tracker.update([]mount{{id: 1}, {id: 2}}, true)
		for _, m := range tracker.table {
			require.False(t, seen[m.epoch])
			seen[m.epoch] = true
		}
	}
}

func TestANewMountReadsItsSource(t *testing.T) {
	var tracker tracker
	tracker.update([]mount{{id: 1, source: "tank/old"}}, false)
	tracker.update([]mount{{id: 1, source: "tank/new"}}, false)
	require.Equal(t, "tank/new", tracker.table[0].source)
}
