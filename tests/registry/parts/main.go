// Looks a name up by Go's net package.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	found, err := net.LookupHost(append(os.Args, "localhost")[1])
	fmt.Println(found, err)
}
