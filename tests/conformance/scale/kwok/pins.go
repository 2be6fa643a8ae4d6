//go:build pins

// Package pins names the program that this module exists to build, so that `go mod tidy` keeps what it needs. The tag is never set.
package pins

import _ "sigs.k8s.io/kwok/cmd/kwok"
