//go:build pins

// Package pins names the programs this module exists to build, so that `go mod tidy` keeps what they need.
// The tag is never set: the programs are built straight from k8s.io/kubernetes, and nothing here is compiled.
package pins

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
