package zfs

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheKernelsTableOfMountsIsRead(t *testing.T) {
	table, err := openTable()
	require.NoError(t, err)
	defer func() { require.NoError(t, table.close()) }()
	mounts, err := table.read()
	require.NoError(t, err)
	require.NotEmpty(t, mounts)
	require.NotZero(t, mounts[0].device)
}

func TestWatchingTheTableLooksFromTimeToTimeAndEndsAtOnce(t *testing.T) {
	table, err := openTable()
	require.NoError(t, err)
	defer func() { require.NoError(t, table.close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	require.NoError(t, table.watch(ctx, time.Millisecond, func() {
		if looks++; looks == 3 {
			cancel()
		}
	}))
	require.Equal(t, 3, looks)

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	began := time.Now()
	require.NoError(t, table.watch(ctx, time.Minute, func() {}))
	require.Less(t, time.Since(began), 10*time.Second)
}
