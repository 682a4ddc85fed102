package fs

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/clonefs/clonefs/fs/connection"
	"github.com/clonefs/clonefs/vdi"
)

// stateVersion is the version of what State says. Fields may be added to it without
// another version, if their zero value is right for what is older.
const stateVersion = 1

// A state is what Handover.State says. It is encoded as gob, since names are bytes.
type state struct {
	Version     int
	Terms       terms
	Device      int // a descriptor, as are others below: the index in Handover.Files
	Agreed      connection.Agreement
	Since       time.Time
	LastNode    uint64
	Instances   uint64
	Volumes     []volumeState
	Nodes       []nodeState
	Files       []openState
	Directories []directoryState
}

// terms are what a mount was made with and cannot be changed while it lives.
type terms struct {
	Mountpoint   string
	Source       string
	AllowOther   bool
	ReadOnly     bool
	MountOptions []string
	GuestSerial  vdi.GuestSerial
	NativeIO     []string
}

// none is an index of nothing.
const none = -1

type volumeState struct {
	Volume   Volume
	Instance uint64
	Current  bool // it is what is at its place
	Outdated bool
}

type nodeState struct {
	ID, Lookups uint64
	Volume      int
	Inode       inodeState
	Place       string
	IsPlace     bool
	Former      bool // another node stands for the same thing now
	Aliases     []aliasState
	Orphan      int // a descriptor
	Backing     backingState
}

type inodeState struct {
	Dev, Ino uint64
	Birth    int64
}

type aliasState struct {
	Dir  uint64
	Name string
}

type backingState struct {
	Decided, Plain bool
	ID             int32
	Files          int
}

type openState struct {
	Handle, Node uint64
	Volume       int
	Descriptor   int
	Dev, Ino     uint64
	Writable     bool
	Backing      int32
}

type directoryState struct {
	Handle, Node uint64
	Listed       bool
	Entries      []fuse.DirEntry
}

func (s *state) encode() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(s)
	return b.Bytes(), err
}

func decodeState(b []byte) (*state, error) {
	s := &state{}
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(s); err != nil {
		return nil, fmt.Errorf("read what the other process knows of the mount: %w", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("the other process speaks of its mount in version %d, this one understands %d: unmount, and mount anew", s.Version, stateVersion)
	}
	return s, nil
}

func termsOf(mountpoint string, o Options) terms {
	return terms{mountpoint, o.FsName, o.AllowOther, o.ReadOnly, o.MountOptions, o.GuestSerial, o.NativeIO}
}

// check returns an error that says what differs.
func (t terms) check(now terms) error {
	var errs []error
	differ := func(what string, is, wanted any) {
		errs = append(errs, fmt.Errorf("%s is %v there, %v here", what, is, wanted))
	}
	if t.Mountpoint != now.Mountpoint {
		differ("the mount point", t.Mountpoint, now.Mountpoint)
	}
	if t.Source != now.Source {
		differ("the source", t.Source, now.Source)
	}
	if t.AllowOther != now.AllowOther {
		differ("--allow-other", t.AllowOther, now.AllowOther)
	}
	if t.ReadOnly != now.ReadOnly {
		differ("--read-only", t.ReadOnly, now.ReadOnly)
	}
	if t.GuestSerial != now.GuestSerial {
		differ("--guest-serial", t.GuestSerial.String(), now.GuestSerial.String())
	}
	if !slices.Equal(t.NativeIO, now.NativeIO) {
		differ("--native-io", t.NativeIO, now.NativeIO)
	}
	if !slices.Equal(t.MountOptions, now.MountOptions) {
		differ("the mount's options (--noexec)", t.MountOptions, now.MountOptions)
	}
	return errors.Join(errs...)
}
