// Looks up names with Go's net package, and prints the results as lookup.c does. With -http the names are those of http.Get, whose
// dialer gives up after 30 s.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
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
	took := time.Since(began)
	addresses := []string{}
	for _, address := range found {
		addresses = append(addresses, address.Unmap().String())
	}
	return finished(name, took, addresses, err)
}

// The lookup of a request: nothing listens at the addresses that it finds.
func get(name string) result {
	var began time.Time
	var took time.Duration
	var done httptrace.DNSDoneInfo
	trace := &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { began = time.Now() },
		DNSDone:  func(info httptrace.DNSDoneInfo) { took, done = time.Since(began), info },
	}
	ctx := httptrace.WithClientTrace(context.Background(), trace)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+name+"/", nil)
	if err == nil {
		http.DefaultClient.Do(request)
		err = done.Err
	}
	addresses := []string{}
	for _, address := range done.Addrs {
		addresses = append(addresses, address.String())
	}
	return finished(name, took, addresses, err)
}

func finished(name string, took time.Duration, addresses []string, err error) result {
	result := result{Name: name, Microseconds: took.Microseconds(), Addresses: addresses}
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
	arguments, look := os.Args[1:], lookUp
	if len(arguments) > 0 && arguments[0] == "-http" {
		arguments, look = arguments[1:], get
	}
	if len(arguments) < 2 {
		fmt.Fprintln(os.Stderr, "usage: lookup [-http] STAGGER NAME...")
		os.Exit(2)
	}
	stagger, err := strconv.Atoi(arguments[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var output sync.Mutex
	var lookups sync.WaitGroup
	for _, name := range arguments[1:] {
		lookups.Go(func() {
			result := look(name)
			output.Lock()
			defer output.Unlock()
			json.NewEncoder(os.Stdout).Encode(result)
		})
		time.Sleep(time.Duration(stagger) * time.Microsecond)
	}
	lookups.Wait()
}
