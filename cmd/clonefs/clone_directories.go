package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/clonefs/clonefs/dir"
)

var _ cloneMaker = (*directoryMaker)(nil)

// A directoryMaker makes clones of a directory.
type directoryMaker struct {
	template string
	options  dir.CloneOptions

	mu      sync.Mutex
	sources map[string]*dir.Source // by path
}

func newDirectoryMaker(template string, full bool) (*directoryMaker, error) {
	absolute, err := filepath.Abs(template)
	if err != nil {
		return nil, err
	}
	return &directoryMaker{template: absolute, options: dir.CloneOptions{Copy: full}, sources: map[string]*dir.Source{}}, nil
}

// source returns the source that a directory is to be a volume of.
func (m *directoryMaker) source(target string) (*dir.Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent := filepath.Dir(target)
	if source, ok := m.sources[parent]; ok {
		return source, nil
	}
	source, err := dir.New(parent, warnings())
	if err != nil {
		return nil, err
	}
	m.sources[parent] = source
	return source, nil
}

func (m *directoryMaker) check(_ context.Context, targets []cloneTarget) error {
	for _, target := range targets {
		if _, err := m.source(target.name); err != nil {
			return err
		}
		if exists(target.name) {
			return fmt.Errorf("there is a %s already: no clone was made", target.name)
		}
	}
	return refuseMounted(m.template)
}

// refuseMounted refuses a template on a mount of clonefs: clones of what is
// presented would have other stored UUIDs than the template.
func refuseMounted(template string) error {
	if _, err := os.Stat(template); err != nil {
		return fmt.Errorf("find the template: %w", err)
	}
	mounted, err := mountedAt(directoryKind + ":" + template)
	if err == nil && mounted != nil {
		err = fmt.Errorf("%s is a mount of clonefs: clone what it was mounted from, %s", template, mounted.Source)
	}
	return err
}

func (m *directoryMaker) make(ctx context.Context, target cloneTarget) error {
	source, err := m.source(target.name)
	if err != nil {
		return err
	}
	return source.Clone(ctx, m.template, filepath.Base(target.name), m.options)
}

func (m *directoryMaker) unmake(ctx context.Context, target cloneTarget) error {
	source, err := m.source(target.name)
	if err != nil {
		return err
	}
	return source.Destroy(ctx, filepath.Base(target.name))
}

func (m *directoryMaker) describe(_ context.Context, targets []cloneTarget) (*cloneList, error) {
	list := &cloneList{Source: sourceName{directoryKind, m.template}.String(), kind: directoryKind}
	for _, target := range targets {
		source, err := m.source(target.name)
		if err != nil {
			return nil, err
		}
		volume, ok := source.Volume(filepath.Base(target.name))
		if !ok {
			return nil, fmt.Errorf("%s is gone already", target.name)
		}
		list.Clones = append(list.Clones, madeClone{Name: volume.Dir, Identity: volume.Identity})
	}
	return list, nil
}
