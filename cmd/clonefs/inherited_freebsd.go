package main

// forgetInherited does nothing: there is no close_range(2) in golang.org/x/sys.
func forgetInherited() {}
