package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// maxClones bounds --count, where a mistyped one would fill a pool with names.
const maxClones = 10_000

// A cloneTarget is a clone that is to be made.
type cloneTarget struct {
	// name is that of a dataset or the absolute path of a directory.
	name string
	// identity is what is pinned, "" for nothing.
	identity string
}

// A numbering makes several names of a pattern.
type numbering struct{ first, count int }

// targetsOf returns what is to be made: what is named, or with a numbering what
// the one pattern that is named makes.
func targetsOf(kind string, names []string, identity string, numbers *numbering) ([]cloneTarget, error) {
	identities := make([]string, len(names))
	switch {
	case numbers != nil:
		var err error
		if names, identities, err = numbers.expandAll(names, identity); err != nil {
			return nil, err
		}
	case identity != "" && len(names) > 1:
		return nil, errors.New("one identity for several clones would give their images one UUID: with --count it can be a pattern, ci-%03d")
	default:
		identities[0] = identity
	}
	targets := make([]cloneTarget, 0, len(names))
	seen := make(map[string]bool, len(names))
	for i, text := range names {
		name, err := targetName(kind, text)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("%s is named twice", name)
		}
		seen[name] = true
		targets = append(targets, cloneTarget{name, identities[i]})
	}
	return targets, nil
}

func (n numbering) expandAll(patterns []string, identity string) (names, identities []string, err error) {
	if n.count < 1 || n.count > maxClones || n.first < 0 {
		return nil, nil, fmt.Errorf("--count must be from 1 to %d, and --first not negative", maxClones)
	}
	if len(patterns) != 1 {
		return nil, nil, errors.New("--count wants one name, which is a pattern: tank/ci/job-%03d")
	}
	if names, err = n.expand(patterns[0]); err != nil {
		return nil, nil, err
	}
	if identity == "" {
		return names, make([]string, n.count), nil
	}
	identities, err = n.expand(identity)
	return names, identities, err
}

// verb is where a number goes, as in printf(3), or a percent sign.
var verb = regexp.MustCompile(`%(?:(0?[1-9]?[0-9]?)d|%)`)

// expand puts the numbers into a pattern.
func (n numbering) expand(pattern string) ([]string, error) {
	verbs := strings.ReplaceAll(strings.Join(verb.FindAllString(pattern, -1), " "), "%%", "")
	if strings.Count(verbs, "%") != 1 || strings.Contains(verb.ReplaceAllString(pattern, ""), "%") {
		return nil, fmt.Errorf("%q is no pattern: it needs %%d or, for three digits, %%03d in one place", pattern)
	}
	names := make([]string, n.count)
	for i := range names {
		names[i] = fmt.Sprintf(pattern, n.first+i)
	}
	return names, nil
}

// targetName reads the name of a clone, which is of the kind that the source is.
func targetName(kind, text string) (string, error) {
	for _, prefix := range []string{directoryKind, datasetKind} {
		name, ok := strings.CutPrefix(text, prefix+":")
		if ok && prefix != kind {
			return "", fmt.Errorf("%s cannot be cloned to %s: datasets are made of snapshots, directories of directories", kind, text)
		}
		if ok {
			text = name
			break
		}
	}
	switch {
	case text == "":
		return "", errors.New("a name is missing")
	case kind == datasetKind && (strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".")):
		return "", fmt.Errorf("%s is a path: name the dataset to make, tank/ci/job-1", text)
	case kind == directoryKind:
		return filepath.Abs(text)
	}
	return text, nil
}
