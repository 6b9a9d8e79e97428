// server: TLS servers on loopback for measurements; it ends when its standard input does.
//
//	server COUNT ROOT.pem [odd]
//
// Makes a root, an intermediate and a leaf for localhost and 127.0.0.1 in memory, writes the root, listens on COUNT ports that the
// kernel chooses, and prints them, one a line, then an empty line. ECDSA P-256 throughout, so that the server costs little beside
// the clients that are measured.
//
// With "odd" only seven of ten ports are such servers. Of each ten one is closed, one says nothing after the hello, and one is hostile:
// by turns a handshake that comes a byte a second and never ends, and a certificate message of 16 MiB.
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
	"runtime/debug"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 3 && !(len(os.Args) == 4 && os.Args[3] == "odd") {
		fmt.Fprintln(os.Stderr, "usage: server COUNT ROOT.pem [odd]")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[1])
	check(err)
	// The server has the clients' processors: its collector, which marks a heap of a few MiB every few handshakes, would be measured with them.
	debug.SetGCPercent(2000)
	config := certificates(os.Args[2])
	out := bufio.NewWriter(os.Stdout)
	for i := 0; i < count; i++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(err)
		fmt.Fprintln(out, listener.Addr().(*net.TCPAddr).Port)
		answer := func(connection net.Conn) { shakeHands(connection, config) }
		if len(os.Args) == 4 {
			switch i % 20 {
			case 7, 17:
				check(listener.Close())
				continue
			case 8, 18:
				answer = hold
			case 9:
				answer = drip
			case 19:
				answer = flood
			}
		}
		go serve(listener, answer)
	}
	fmt.Fprintln(out)
	check(out.Flush())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func serve(listener net.Listener, answer func(net.Conn)) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			answer(connection)
			_ = connection.Close()
		}()
	}
}

func shakeHands(connection net.Conn, config *tls.Config) {
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	// Reads until the client closes: what a server does that waits for a request.
	_, _ = io.Copy(io.Discard, tls.Server(connection, config))
}

// Says nothing until the client goes.
func hold(connection net.Conn) {
	_, _ = io.Copy(io.Discard, connection)
}

// Sends a handshake record a byte a second.
func drip(connection net.Conn) {
	go hold(connection)
	record := append([]byte{22, 3, 3, 64, 0, 2, 0, 63, 252, 3, 3}, make([]byte, 16<<10)...)
	for i := range record {
		if _, err := connection.Write(record[i : i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// Answers the hello and sends the beginning of a certificate message of 16 MiB, which is as long as one can be (RFC 5246, section 7.4).
func flood(connection net.Conn) {
	go hold(connection)
	hello := append([]byte{2, 0, 0, 38, 3, 3}, make([]byte, 33)...)
	hello = append(hello, 0xc0, 0x2b, 0)
	record := func(body []byte) bool {
		_, err := connection.Write(append([]byte{22, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...))
		return err == nil
	}
	if !record(hello) || !record([]byte{11, 255, 255, 255, 255, 255, 252, 255, 255, 249}) {
		return
	}
	body := make([]byte, 16<<10)
	for i := 0; i < 1024 && record(body); i++ {
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
