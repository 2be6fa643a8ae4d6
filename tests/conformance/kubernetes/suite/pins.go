//go:build pins

// Package suite names the programs besides the tests that this module exists to build, so that `go mod tidy` keeps what they need.
// The tag is never set.
package suite

import (
	_ "github.com/onsi/ginkgo/v2/ginkgo"
	_ "k8s.io/kubernetes/test/images/agnhost"
)
