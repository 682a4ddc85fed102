package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

// servedLimit is how long is waited for mounts to show what was made.
const servedLimit = 15 * time.Second

// A cloneList is what the command clone has made. Its JSON form is documented in
// the command's help.
type cloneList struct {
	Source string      `json:"source"`
	Clones []madeClone `json:"clones"`

	kind string
}

type madeClone struct {
	Name     string   `json:"name"`
	Identity string   `json:"identity"`
	Paths    []string `json:"paths"`
}

func (l *cloneList) print(w io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(l)
	}
	for _, clone := range l.Clones {
		line := clone.Name
		if len(clone.Paths) > 0 {
			line = clone.Paths[0]
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// awaitPaths waits until the mounts that serve the clones show them. That one does
// not undoes nothing: notice is told.
func (l *cloneList) awaitPaths(ctx context.Context, notice func(string)) error {
	table, err := mounts.Read()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, servedLimit)
	defer cancel()
	for i := range l.Clones {
		clone := &l.Clones[i]
		clone.Paths = []string{} // never null
		if l.kind == datasetKind && !isMounted(table, clone.Name) {
			notice(fmt.Sprintf("%s is made, but it is not mounted, and no clonefs can serve it until it is: try `zfs mount '%s'`", clone.Name, clone.Name))
			continue
		}
		for _, path := range servedPaths(table, sourceName{l.kind, clone.Name}) {
			if err := awaitPath(ctx, path); err != nil {
				notice(fmt.Sprintf("%s is made, but %v", clone.Name, err))
				continue
			}
			clone.Paths = append(clone.Paths, path)
		}
	}
	return nil
}

// isMounted says whether a dataset is mounted.
func isMounted(table mounts.Table, dataset string) bool {
	_, ok := datasetMount(table, dataset)
	return ok
}

// datasetMount returns where a dataset is mounted.
func datasetMount(table mounts.Table, dataset string) (mounts.Mount, bool) {
	for _, m := range table {
		if (m.Type == "zfs" || m.Type == "fuse.zfs") && m.Source == dataset {
			return m, true
		}
	}
	return mounts.Mount{}, false
}

// servedPaths returns where a volume of this name is, or is to be, on the mounts
// of clonefs.
func servedPaths(table mounts.Table, name sourceName) []string {
	var paths []string
	for _, m := range table.CloneFS() {
		place, ok := placeOn(m, name)
		if ok && place != "" {
			paths = append(paths, filepath.Join(m.Dir, place))
		}
	}
	return paths
}

// placeOn returns the place of a volume on a mount, "" for its top, and whether the
// mount's source has such a volume.
func placeOn(m mounts.Mount, name sourceName) (string, bool) {
	if m.Source == name.String() {
		return "", true
	}
	place, ok := strings.CutPrefix(name.String(), strings.TrimSuffix(m.Source, "/")+"/")
	// Only the directories directly in a directory are volumes.
	return place, ok && (name.kind == datasetKind || !strings.Contains(place, "/"))
}

// awaitPath waits until there is something at the path. A mount that hangs is not
// waited for longer than ctx says.
func awaitPath(ctx context.Context, path string) error {
	found := make(chan error, 1)
	go func() {
		for {
			_, err := os.Lstat(path)
			if !errors.Is(err, iofs.ErrNotExist) || ctx.Err() != nil {
				found <- err
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	select {
	case err := <-found:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s does not show it", path)
	}
}
