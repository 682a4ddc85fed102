package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/fs"
	"github.com/clonefs/clonefs/vdi"
)

// A listing is what the command ls finds. Its JSON form is documented in the
// command's help.
type listing struct {
	Source     string        `json:"source"`
	Mountpoint string        `json:"mountpoint,omitempty"`
	Images     []listedImage `json:"images"`
	Errors     []string      `json:"errors"`

	volumes int // that there are, with or without images
}

type listedImage struct {
	Volume    string   `json:"volume"`
	Identity  string   `json:"identity"`
	Image     string   `json:"image"`
	Version   string   `json:"version"`
	Type      string   `json:"type"`
	Capacity  uint64   `json:"capacity"`
	Stored    vdi.UUID `json:"stored"`
	Presented vdi.UUID `json:"presented"`
	Duplicate bool     `json:"duplicate"`
}

// path names the image beneath the mount point.
func (i listedImage) path() string { return path.Join(i.Volume, i.Image) }

// A view is a way to look at volumes, for several goroutines at a time.
type view interface {
	// top returns the directory to walk for a volume.
	top(fs.Volume) string
	// headers returns the first bytes of a file in a volume as they are
	// stored and as they are presented.
	headers(volume fs.Volume, file string) (stored, presented []byte, err error)
}

// sourceView looks at the stored files, and presents their headers itself.
type sourceView struct{ serial vdi.GuestSerial }

func (sourceView) top(volume fs.Volume) string { return volume.Root() }

func (v sourceView) headers(volume fs.Volume, file string) (stored, presented []byte, err error) {
	stored, err = readHeader(filepath.Join(volume.Root(), file))
	presented = slices.Clone(stored)
	vdi.NewMask(volume.Identity, v.serial).Present(presented)
	return stored, presented, err
}

// mountView looks through a mount.
type mountView struct{ mountpoint string }

func (v mountView) top(volume fs.Volume) string { return filepath.Join(v.mountpoint, volume.Name) }

func (v mountView) headers(volume fs.Volume, file string) (stored, presented []byte, err error) {
	presented, err = readHeader(filepath.Join(v.top(volume), file))
	if _, isImage := vdi.Recognize(presented); err != nil || !isImage {
		return presented, presented, err
	}
	stored, err = readHeader(filepath.Join(volume.Root(), file))
	return stored, presented, err
}

// scannedAtOnce is how many volumes are looked at at a time: most of it is waiting,
// for a disk or for the mount's daemon.
const scannedAtOnce = 8

// scan adds the images of the volumes; step is called after each volume.
func (l *listing) scan(volumes []fs.Volume, through view, step func()) {
	places := map[string]bool{}
	for _, volume := range volumes {
		places[volume.Name] = true
	}
	scanned := make([]scanner, len(volumes))
	var group errgroup.Group
	group.SetLimit(scannedAtOnce)
	for i, volume := range volumes {
		group.Go(func() error {
			scanned[i] = scanner{volume: volume, view: through, places: places}
			scanned[i].scan()
			step()
			return nil
		})
	}
	_ = group.Wait() // errors are kept by the scanners
	for _, s := range scanned {
		l.Images, l.Errors = append(l.Images, s.images...), append(l.Errors, s.errors...)
	}
	l.volumes = len(volumes)
	slices.SortFunc(l.Images, func(a, b listedImage) int {
		return cmp.Or(cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Image, b.Image))
	})
	markDuplicates(l.Images)
}

// A scanner looks for the images of one volume.
type scanner struct {
	volume fs.Volume
	view   view
	places map[string]bool // of all volumes

	images []listedImage
	errors []string
}

// scan walks the volume, and leaves out the volumes below it: they have their own
// turn. Symbolic links are not followed.
func (s *scanner) scan() {
	top := s.view.top(s.volume)
	_ = filepath.WalkDir(top, func(file string, entry iofs.DirEntry, err error) error { // returns what the function does
		relative, _ := filepath.Rel(top, file) // it is below top
		switch {
		case err != nil:
			s.note(err)
		case entry.IsDir():
			if relative != "." && s.places[path.Join(s.volume.Name, relative)] {
				return filepath.SkipDir
			}
		case entry.Type().IsRegular():
			s.scanFile(relative)
		}
		return nil
	})
}

func (s *scanner) scanFile(file string) {
	storedHeader, presentedHeader, err := s.view.headers(s.volume, file)
	if err != nil {
		s.note(err)
		return
	}
	stored, err := vdi.Parse(storedHeader)
	if err != nil {
		return // not an image
	}
	presented, err := vdi.Parse(presentedHeader)
	if err != nil {
		s.note(fmt.Errorf("%s is changing while it is listed: %w", path.Join(s.volume.Name, file), err))
		return
	}
	s.images = append(s.images, listedImage{
		Volume:   cmp.Or(s.volume.Name, "."),
		Identity: s.volume.Identity,
		Image:    file,
		Version:  fmt.Sprintf("%d.%d", stored.Major, stored.Minor),
		Type:     stored.Type.String(),
		Capacity: stored.Capacity,
		Stored:   stored.Create, Presented: presented.Create,
	})
}

// note keeps an error for the end. Files may go while they are listed.
func (s *scanner) note(err error) {
	if !errors.Is(err, iofs.ErrNotExist) {
		s.errors = append(s.errors, err.Error())
	}
}

// readHeader returns the first bytes of a regular file, vdi.HeaderSize of them
// where it is that long. It waits for nobody, should the file have become a
// pipe in the meantime, and follows no link.
func readHeader(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	header := make([]byte, vdi.HeaderSize)
	n, err := io.ReadFull(file, header)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return header[:n], err
}

// markDuplicates marks the images that are presented with one UUID.
func markDuplicates(images []listedImage) {
	count := map[vdi.UUID]int{}
	for _, image := range images {
		count[image.Presented]++
	}
	for i := range images {
		images[i].Duplicate = count[images[i].Presented] > 1
	}
}
