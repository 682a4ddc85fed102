package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/clonefs/clonefs/cmd/clonefs/internal/holders"
	"github.com/clonefs/clonefs/cmd/clonefs/internal/mounts"
)

// explainInUse says who keeps a volume from being destroyed or renamed.
func explainInUse(name sourceName) error {
	message := name.name + " is in use, and stays:"
	for _, user := range usersOfVolume(name) {
		message += "\n  " + user
	}
	return statusError{fmt.Errorf("%s\nend these first", message), exitBusy}
}

// usersOfVolume says who uses a volume: by its own path, and through mounts of
// clonefs. Of the latter the daemon is not named: it is not what is to be ended.
func usersOfVolume(name sourceName) []string {
	table, err := mounts.Read()
	if err != nil {
		return []string{err.Error()}
	}
	var through []string
	for _, m := range table.CloneFS() {
		if place, ok := placeOn(m, name); ok {
			through = append(through, usersBelow(m, place, " on "+m.Dir, nil)...)
		}
	}
	users := append(directUsers(table, name, through), through...)
	if len(users) == 0 {
		return []string{noUserFound()}
	}
	return users
}

// directUsers says who uses a volume by its own path.
func directUsers(table mounts.Table, name sourceName, through []string) []string {
	m, mounted := datasetMount(table, name.name)
	place := ""
	if name.kind == directoryKind {
		m, mounted = table.Holding(name.name)
		place = strings.TrimPrefix(strings.TrimPrefix(name.name, m.Dir), "/")
	}
	if !mounted {
		return nil
	}
	var users []string
	for _, on := range table.On(m) {
		if relative, err := filepath.Rel(filepath.Join(m.Dir, place), on.Dir); err == nil && filepath.IsLocal(relative) {
			users = append(users, "the mount of "+on.Source+" on "+on.Dir)
		}
	}
	isDaemon := func(h holders.Holder) bool { return len(through) > 0 && h.Command == rootName }
	return append(users, usersBelow(m, place, "", isDaemon)...)
}

// usersBelow says who uses what is at a place of a mount or below it.
func usersBelow(m mounts.Mount, place, where string, leaveOut func(holders.Holder) bool) []string {
	found, err := holders.Of(m)
	if err != nil {
		return []string{err.Error()}
	}
	var users []string
	for _, holder := range found {
		var uses []holders.Use
		for _, use := range holder.Uses {
			if place == "" || use.Path == place || strings.HasPrefix(use.Path, place+"/") {
				uses = append(uses, use)
			}
		}
		holder.Uses = uses
		if len(uses) > 0 && (leaveOut == nil || !leaveOut(holder)) {
			users = append(users, holder.String()+where)
		}
	}
	return users
}
