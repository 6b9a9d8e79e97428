// server: TLS servers on loopback for measurements; it ends when its standard input does.
//
//	server COUNT ROOT.pem
//
// Makes a root, an intermediate and a leaf for localhost and 127.0.0.1 in memory, writes the root, listens on COUNT ports that the
// kernel chooses, and prints them, one a line, then an empty line. ECDSA P-256 throughout, so that the server costs little beside
// the clients that are measured.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: server COUNT ROOT.pem")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[1])
	check(err)
	config := certificates(os.Args[2])
	out := bufio.NewWriter(os.Stdout)
	for i := 0; i < count; i++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(err)
		go serve(listener, config)
		fmt.Fprintln(out, listener.Addr().(*net.TCPAddr).Port)
	}
	fmt.Fprintln(out)
	check(out.Flush())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func serve(listener net.Listener, config *tls.Config) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
			// Reads until the client closes: what a server does that waits for a request.
			_, _ = io.Copy(io.Discard, tls.Server(connection, config))
			_ = connection.Close()
		}()
	}
}

func certificates(rootFile string) *tls.Config {
	root, rootKey := issue("Bench Root", nil, nil)
	intermediate, intermediateKey := issue("Bench Issuing CA", root, rootKey)
	leaf, leafKey := issue("localhost", intermediate, intermediateKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
	check(os.WriteFile(rootFile, text, 0o644))
	chain := tls.Certificate{Certificate: [][]byte{leaf.Raw, intermediate.Raw}, PrivateKey: leafKey}
	return &tls.Config{Certificates: []tls.Certificate{chain}}
}

func issue(name string, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(30 * 24 * time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  name != "localhost",
		KeyUsage:              x509.KeyUsageCertSign,
	}
	if !template.IsCA {
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.DNSNames = []string{"localhost"}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	if issuer == nil {
		issuer, issuerKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, issuerKey)
	check(err)
	certificate, err := x509.ParseCertificate(der)
	check(err)
	return certificate, key
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}
