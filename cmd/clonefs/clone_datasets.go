package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/clonefs/clonefs/zfs"
)

var _ cloneMaker = (*datasetMaker)(nil)

// A datasetMaker makes clones of a snapshot of ZFS.
type datasetMaker struct {
	command    zfs.Command
	snapshot   string
	properties map[string]string
}

func newDatasetMaker(snapshot string, settings []string) (*datasetMaker, error) {
	properties := make(map[string]string, len(settings))
	for _, text := range settings {
		name, value, ok := strings.Cut(text, "=")
		if _, twice := properties[name]; !ok || name == "" || twice {
			return nil, usageError{fmt.Errorf("-o %s: want PROPERTY=VALUE, each property once", text)}
		}
		properties[name] = value
	}
	command, err := zfs.FindCommand()
	if err != nil {
		return nil, fmt.Errorf("clone %s: %w", snapshot, err)
	}
	return &datasetMaker{command, snapshot, properties}, nil
}

func (m *datasetMaker) check(ctx context.Context, targets []cloneTarget) error {
	if _, pinned := m.properties[zfs.IdentityProperty]; pinned && len(targets) > 1 {
		return usageError{errors.New("one identity for several clones would give their images one UUID: with --identity it can be a pattern, ci-%03d")}
	}
	for _, target := range targets {
		if err := zfs.CheckName(target.name); err != nil {
			return usageError{err}
		}
	}
	if err := m.command.CheckSnapshot(ctx, m.snapshot); err != nil {
		return explainSnapshot(m.snapshot, err)
	}
	there, err := m.describeAll(ctx, targets)
	if err != nil {
		return explainClone(m.snapshot, targets[0].name, err)
	}
	if len(there) > 0 {
		return fmt.Errorf("there is a dataset %s already: no clone was made", there[0].Name)
	}
	return nil
}

// describedAtOnce is how many names one run of zfs is given: its arguments must
// not grow without a limit.
const describedAtOnce = 500

// describeAll asks zfs for those of the targets that exist.
func (m *datasetMaker) describeAll(ctx context.Context, targets []cloneTarget) ([]zfs.Dataset, error) {
	var all []zfs.Dataset
	for some := range slices.Chunk(targets, describedAtOnce) {
		var names []string
		for _, target := range some {
			names = append(names, target.name)
		}
		told, err := m.command.Describe(ctx, names...)
		if err != nil {
			return nil, err
		}
		all = append(all, told...)
	}
	return all, nil
}

func (m *datasetMaker) make(ctx context.Context, target cloneTarget) error {
	properties := maps.Clone(m.properties)
	if target.identity != "" {
		properties[zfs.IdentityProperty] = target.identity
	}
	if err := m.command.Clone(ctx, m.snapshot, target.name, properties); err != nil {
		return explainClone(m.snapshot, target.name, err)
	}
	return nil
}

func (m *datasetMaker) unmake(ctx context.Context, target cloneTarget) error {
	_, err := m.command.Destroy(ctx, target.name, zfs.DestroyOptions{Origin: m.snapshot})
	return err
}

func (m *datasetMaker) describe(ctx context.Context, targets []cloneTarget) (*cloneList, error) {
	told, err := m.describeAll(ctx, targets)
	if err != nil {
		return nil, err
	}
	identities := make(map[string]string, len(told))
	for _, dataset := range told {
		identities[dataset.Name] = dataset.Identity
	}
	list := &cloneList{Source: sourceName{datasetKind, m.snapshot}.String(), kind: datasetKind}
	for _, target := range targets {
		identity, ok := identities[target.name]
		if !ok {
			return nil, fmt.Errorf("%s is no file system: a clone of a ZFS volume cannot be served", target.name)
		}
		list.Clones = append(list.Clones, madeClone{Name: target.name, Identity: identity})
	}
	return list, nil
}

// explainSnapshot says what to do about a snapshot that cannot be cloned.
func explainSnapshot(snapshot string, err error) error {
	switch {
	case errors.Is(err, zfs.ErrNotExist):
		return fmt.Errorf("there is no snapshot %s: `zfs list -t snapshot` shows those that there are", snapshot)
	case errors.Is(err, zfs.ErrPermission):
		return fmt.Errorf("look for snapshot %s: %w: ask the administrator for access to /dev/zfs, or use sudo", snapshot, err)
	}
	return err
}

// explainClone says what to do about a clone that cannot be made.
func explainClone(snapshot, dataset string, err error) error {
	switch {
	case errors.Is(err, zfs.ErrNoParent):
		return fmt.Errorf("there is no dataset %s to make %s in: `zfs create %s` makes it: %w", path.Dir(dataset), path.Base(dataset), path.Dir(dataset), err)
	case errors.Is(err, zfs.ErrPermission):
		return fmt.Errorf("clone %s to %s: %w: use sudo, or ask the administrator for `zfs allow ... clone,create,mount`", snapshot, dataset, err)
	}
	return err
}
