// What Go's crypto/x509 says of a server's certificate: verify-go CA CERTIFICATE HOST
//
// The first line is Go's version. Then, for each line of input, the two files are read anew, and a line says `good`, or
// `refused: ` and why. A client in Go would say the same, since crypto/tls asks this verifier.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

func certificate(file string) (*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

func verify(caFile, certificateFile, host string) error {
	ca, err := certificate(caFile)
	if err != nil {
		return fmt.Errorf("the CA: %w", err)
	}
	server, err := certificate(certificateFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err = server.Verify(x509.VerifyOptions{
		DNSName: host, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: verify-go CA CERTIFICATE HOST")
		os.Exit(2)
	}
	fmt.Println(runtime.Version())
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		if err := verify(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Println("refused: " + strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("good")
		}
	}
}
