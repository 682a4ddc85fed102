package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNoReflink is why a clone is refused where blocks cannot be shared between
// the template's files and the clone's. It matches syscall.EOPNOTSUPP.
var ErrNoReflink = fmt.Errorf("blocks cannot be shared here (Btrfs and XFS can do it, within one file system); "+
	"make a full copy with --copy: %w", syscall.EOPNOTSUPP)

// CloneOptions says how a clone is made.
type CloneOptions struct {
	// Copy copies the content of files whose blocks cannot be shared, instead
	// of refusing. Holes stay holes.
	Copy bool
}

// Clone makes the volume name as a copy of the directory tree template, an
// absolute path or the name of a volume of this source. The regular files share
// their blocks with the template's until either is written to (FICLONE of
// ioctl_ficlone(2)). Modes, owners, times, extended attributes, access control
// lists, hard links within the tree and holes are the template's. Without the
// rights of root, owners and what only root may set are the caller's own, as
// with cp -a.
//
// The volume appears when it is complete, and not at all if Clone fails or ctx
// is done before. A process that is killed leaves a directory that is no
// volume, which the next Clone or Destroy removes. Whoever writes to the
// template meanwhile gets a clone that mixes old files with new ones. Clone does
// not wait until the clone is on stable storage.
//
// Errors match ErrNoReflink or what mkdir(2) would return: EEXIST for a name
// that is taken, EINVAL for one that no volume can have; EINTR when ctx was
// done; EXDEV when another file system is mounted in the template.
func (s *Source) Clone(ctx context.Context, template, name string, options CloneOptions) error {
	if err := s.clone(ctx, template, name, options); err != nil {
		return fmt.Errorf("clone %s to %s: %w", template, filepath.Join(s.path, name), err)
	}
	return nil
}

func (s *Source) clone(ctx context.Context, template, name string, options CloneOptions) error {
	original, err := s.openTemplate(template)
	if err != nil {
		return err
	}
	defer unlock(original)
	top, err := s.openFor(name)
	if err != nil {
		return err
	}
	defer closeQuietly(top)
	if err := unix.Fstatat(fd(top), name, new(unix.Stat_t), unix.AT_SYMLINK_NOFOLLOW); err == nil {
		return syscall.EEXIST
	}
	s.sweep(top)
	clone, err := makeHidden(top)
	if err != nil {
		return fmt.Errorf("make a directory in %s: %w", s.path, err)
	}
	defer unlock(clone.dir)
	if err := clone.fill(ctx, original, options); err != nil {
		return errors.Join(err, clone.remove())
	}
	if err := renameNew(fd(top), clone.name, name); err != nil {
		return errors.Join(err, clone.remove())
	}
	return nil
}

// openFor opens the source directory, to do something with the volume name.
func (s *Source) openFor(name string) (*os.File, error) {
	if name == "" || !isComponent(name) || isHidden(name) {
		return nil, fmt.Errorf("%q cannot be a volume's name: %w", name, syscall.EINVAL)
	}
	return os.OpenFile(s.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// openTemplate opens a template by the path that resolveTemplate gives it, and
// keeps it from being destroyed until it is unlocked.
func (s *Source) openTemplate(template string) (*os.File, error) {
	path, err := s.resolveTemplate(template)
	if err != nil {
		return nil, err
	}
	original, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open the template: %w", err)
	}
	if err := lock(original, unix.LOCK_SH); errors.Is(err, syscall.EBUSY) {
		closeQuietly(original)
		return nil, fmt.Errorf("the template is being destroyed: %w", err)
	}
	return original, nil
}

// resolveTemplate returns the template's path free of symbolic links.
func (s *Source) resolveTemplate(template string) (string, error) {
	path := template
	if !filepath.IsAbs(template) {
		if template == "" || !isComponent(template) || isHidden(template) {
			return "", fmt.Errorf("template %q is neither an absolute path nor a volume of %s: %w", template, s.path, syscall.EINVAL)
		}
		path = filepath.Join(s.path, template)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("find the template: %w", err)
	}
	if s.path == resolved || strings.HasPrefix(s.path, strings.TrimSuffix(resolved, "/")+"/") {
		return "", fmt.Errorf("the template holds the source %s, and with it every clone; choose a directory in it or outside: %w", s.path, syscall.EINVAL)
	}
	return resolved, nil
}

// fill makes the hidden directory a copy of the original. Its mode comes last:
// until then nobody else can enter it.
func (h *hidden) fill(ctx context.Context, original *os.File, options CloneOptions) error {
	c := &copier{ctx: ctx, options: options, top: h.dir, links: map[inode]string{}}
	if err := setMark(h.dir, original.Name()); err != nil {
		return err
	}
	return c.directory(original, h.dir, "")
}
