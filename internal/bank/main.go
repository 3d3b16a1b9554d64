// Package main is a bank for trying out plugins/orders: it says yes to everything, and prints what it was asked.
//
//	go run ./internal/bank [ADDRESS]        defaults to 127.0.0.1:8421
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	address := "127.0.0.1:8421"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
	fmt.Printf("the bank is open: http://%s/pay\n", listener.Addr())
	err = http.Serve(listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10)); err == nil {
			fmt.Printf("%s\n", body)
		}
	}))
	fmt.Fprintln(os.Stderr, "bank:", err)
	os.Exit(1)
}
