package fs

import "syscall"

// FreeBSD has no passthrough: nothing of this is ever asked for.

func executableOf(uint32) (string, error) { return "", syscall.EOPNOTSUPP }

func anonymousFile() (int, error) { return -1, syscall.EOPNOTSUPP }

func opensDirect(int) bool { return false }

func readsSectors(int) bool { return false }
