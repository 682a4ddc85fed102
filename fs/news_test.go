package fs

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNewsAreToldOneAtATimeAndNeverByWhoBringsThem(t *testing.T) {
	var mu sync.Mutex
	told := map[string]int{}
	release := make(chan struct{})
	n := &news{places: map[string]bool{}, each: func(place string) {
		<-release // as the kernel does while a client reads the directory
		mu.Lock()
		defer mu.Unlock()
		told[place]++
	}}
	for range 3 {
		for i := range 1000 {
			n.tell(fmt.Sprint(i)) // returns, though nothing can be told yet
		}
	}
	close(release)
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) == 1000
	}, 5*time.Second, time.Millisecond)
	for place, times := range told {
		require.LessOrEqual(t, times, 2, "place %s: what waits is not told twice", place)
	}
}
