// Looks up names with Go's net package, and prints the results as lookup.c does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

type result struct {
	Name         string   `json:"name"`
	Microseconds int64    `json:"microseconds"`
	Error        *string  `json:"error"`
	Addresses    []string `json:"addresses"`
}

func lookUp(name string) result {
	began := time.Now()
	found, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", name)
	result := result{Name: name, Microseconds: time.Since(began).Microseconds(), Addresses: []string{}}
	for _, address := range found {
		result.Addresses = append(result.Addresses, address.Unmap().String())
	}
	if err != nil {
		text := err.Error()
		var dns *net.DNSError
		if errors.As(err, &dns) {
			text = dns.Err
		}
		result.Error = &text
	}
	return result
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: lookup STAGGER NAME...")
		os.Exit(2)
	}
	stagger, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var output sync.Mutex
	var lookups sync.WaitGroup
	for _, name := range os.Args[2:] {
		lookups.Go(func() {
			result := lookUp(name)
			output.Lock()
			defer output.Unlock()
			json.NewEncoder(os.Stdout).Encode(result)
		})
		time.Sleep(time.Duration(stagger) * time.Microsecond)
	}
	lookups.Wait()
}
