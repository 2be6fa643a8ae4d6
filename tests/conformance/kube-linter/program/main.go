// kube-linter, as its own main makes it.
package main

import (
	"fmt"
	"os"

	"golang.stackrox.io/kube-linter/pkg/command/root"
	_ "golang.stackrox.io/kube-linter/pkg/templates/all"
)

func main() {
	if err := root.Command().Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	}
}
