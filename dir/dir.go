// Package dir is a source of volumes made of directories: every directory
// directly in one directory is a volume, and that directory's own files belong
// to a volume too.
//
// It is for clones that are made without ZFS (reflinks, Btrfs subvolumes)
// and for trying clonefs out. A volume's identity is its name, so a directory
// that is renamed is another volume, and one that is recreated under the same
// name is the same volume again.
//
// It also makes such clones, with reflinks, and destroys and renames volumes.
// Directories whose names begin with ".clonefs-" are clones that are not complete
// yet or volumes that are being deleted, and never volumes.
//
// The package keeps no descriptor on any volume: what mounts or removes the
// directories is never told that they are busy.
package dir

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/clonefs/clonefs/fs"
)

// identityPrefix opens the identity of every volume of this source; the
// volume of the source's own files has ownIdentity.
const (
	identityPrefix = "dir:"
	ownIdentity    = identityPrefix + "."
)

var _ fs.Source = (*Source)(nil)

// A Source is one directory whose directories are volumes. Its methods may be
// called from several goroutines at once.
type Source struct {
	path   string
	logger *slog.Logger
	timing timing
	notify notifyFunc

	mu     sync.Mutex
	listed []fs.Volume // what Volumes returned last
	failed bool        // the last listing failed, and the log says so
}

// New returns the source of the directories in path, which must be a
// directory or a symbolic link to one. The link is followed once, here: the
// volumes stay where it pointed to when it is changed later.
//
// Errors wrap what the system answered (errors.Is with fs.ErrNotExist,
// fs.ErrPermission, syscall.ENOTDIR). A nil logger discards what is logged.
func New(path string, logger *slog.Logger) (*Source, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	resolved, err := resolve(path)
	if err != nil {
		return nil, err
	}
	return &Source{path: resolved, logger: logger, timing: defaultTiming, notify: openNotifier}, nil
}

// resolve returns the absolute path of the directory at path, free of
// symbolic links.
func resolve(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find source directory %s: %w", path, err)
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return "", fmt.Errorf("source directory %s does not exist; make it, or name another: %w", path, err)
	case err != nil:
		return "", fmt.Errorf("find source directory %s: %w", path, err)
	}
	info, err := os.Lstat(resolved)
	if err != nil {
		return "", fmt.Errorf("find source directory %s: %w", path, err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("source %s is not a directory; name the directory that holds the clones: %w", path, syscall.ENOTDIR)
	}
	return resolved, nil
}

// Path returns the absolute path of the source directory, free of symbolic
// links.
func (s *Source) Path() string { return s.path }

// Volume returns the volume of this name, by one look at the file system; ""
// is the volume of the source's own files. A symbolic link is never a volume:
// it could lead out of the source.
func (s *Source) Volume(name string) (fs.Volume, bool) {
	if name != "" && !isComponent(name) || isHidden(name) {
		return fs.Volume{}, false
	}
	info, err := os.Lstat(filepath.Join(s.path, name))
	if err != nil || !info.IsDir() {
		return fs.Volume{}, false
	}
	return s.volume(name), true
}

// isComponent says whether name can be that of a directory entry.
func isComponent(name string) bool {
	return name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// Hides is part of fs.Source: clones that are being made, or deleted.
func (s *Source) Hides(name string) bool { return isHidden(name) }

// Leads is part of fs.Source: no volume of a directory has volumes below it.
func (s *Source) Leads(string) bool { return false }

func (s *Source) volume(name string) fs.Volume {
	if name == "" {
		return fs.Volume{Dir: s.path, Identity: ownIdentity}
	}
	return fs.Volume{
		Name:     name,
		Dir:      filepath.Join(s.path, name),
		Identity: identityPrefix + name,
	}
}

// Volumes returns the volumes that there are now. While the source directory
// cannot be read (no descriptors left, an I/O error) it returns those of the
// last time: a passing fault must not look like the end of every volume.
func (s *Source) Volumes() []fs.Volume {
	entries, err := readDir(s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !isGone(err) {
		s.logUnreadable(err)
		return slices.Clone(s.listed)
	}
	s.failed = false
	s.listed = nil
	if err == nil {
		s.listed = s.directories(entries)
	}
	return slices.Clone(s.listed)
}

// readDir returns what is in the directory at path, in the file system's own
// order: os.ReadDir would sort ten thousand names for nobody.
func readDir(path string) ([]os.DirEntry, error) {
	directory, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer directory.Close() //nolint:errcheck // closing a directory that was only read loses nothing
	return directory.ReadDir(-1)
}

// isGone says whether err means that there is no source directory any more,
// as opposed to one that could not be read.
func isGone(err error) bool {
	return errors.Is(err, iofs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// directories returns the volume of the source's own files and one for each
// directory in entries.
func (s *Source) directories(entries []os.DirEntry) []fs.Volume {
	volumes := make([]fs.Volume, 1, len(entries)+1)
	volumes[0] = s.volume("")
	for _, entry := range entries {
		if entry.IsDir() && !isHidden(entry.Name()) {
			volumes = append(volumes, s.volume(entry.Name()))
		}
	}
	return volumes
}

// logUnreadable says once that the source cannot be listed. The caller holds
// s.mu.
func (s *Source) logUnreadable(err error) {
	if s.failed {
		return
	}
	s.failed = true
	s.logger.Warn("cannot list the source directory; keeping the volumes that were there", "source", s.path, "error", err)
}
