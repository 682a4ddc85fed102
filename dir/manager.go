package dir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
)

var _ fs.Manager = (*Manager)(nil)

// A Manager makes, destroys and renames the volumes of a source for the clients
// of a mount. What it makes are clones of one template.
type Manager struct {
	source   *Source
	template string // free of symbolic links
	options  CloneOptions
}

// NewManager returns the manager of clones of a template, which is as for
// Source.Clone and must exist. Symbolic links to it are followed once, here.
func NewManager(source *Source, template string, options CloneOptions) (*Manager, error) {
	original, err := source.openTemplate(template)
	if err != nil {
		return nil, fmt.Errorf("make clones of %s: %w", template, err)
	}
	defer unlock(original)
	return &Manager{source, original.Name(), options}, nil
}

// Create makes a clone of the template; see Source.Clone.
func (m *Manager) Create(ctx context.Context, name string) error {
	return m.source.Clone(ctx, m.template, name, m.options)
}

// Destroy destroys a clone of the template; see Source.Destroy. Other volumes
// are refused with EPERM, and so are clones that were made by a user if this
// process is root's, or by root if it is a user's: a user's record of what
// something was made from proves nothing to root.
func (m *Manager) Destroy(ctx context.Context, name string) error {
	return m.source.destroy(ctx, name, m.mayDestroy)
}

func (m *Manager) mayDestroy(volume *os.File) error {
	template, err := readMark(volume)
	switch {
	case err != nil:
		return err
	case template == "":
		return fmt.Errorf("it is no clone that this user has made; use clonefs destroy: %w", syscall.EPERM)
	case template != m.template:
		return fmt.Errorf("it is a clone of %s, not of %s; use clonefs destroy: %w", template, m.template, syscall.EPERM)
	}
	return nil
}

// Rename renames a clone of the template; see Source.Rename. Other volumes are
// refused as Destroy does. The template stays where it is: EBUSY.
func (m *Manager) Rename(ctx context.Context, name, newName string) error {
	path := filepath.Join(m.source.path, name)
	if path == m.template {
		return fmt.Errorf("rename %s: it is the template of new volumes: %w", path, syscall.EBUSY)
	}
	if err := m.mayRename(path); err != nil {
		return fmt.Errorf("rename %s: %w", path, err)
	}
	return m.source.Rename(ctx, name, newName)
}

func (m *Manager) mayRename(path string) error {
	volume, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer closeQuietly(volume)
	return m.mayDestroy(volume)
}
