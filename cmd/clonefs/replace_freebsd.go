package main

import (
	"errors"

	"github.com/clonefs/clonefs/fs"
)

var errNoReplace = errors.New("--replace is for Linux: unmount, and mount anew")

func (*mountConfig) takeOver(string, fs.Source, fs.Options) (*fs.Server, int, error) {
	return nil, 0, errNoReplace
}

func (s *service) listen() {}

func livingMount(string) (string, error) { return "", errNoReplace }

func storedMountpoint(string) (string, bool, error) { return "", false, errNoReplace }
