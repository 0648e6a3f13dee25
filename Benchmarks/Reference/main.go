// The reference proxy: the tunnel's inner side as anybody would write it in Go, for the benchmarks to measure ours beside.
//
//	tunnel-reference -listen 127.0.0.1:8080 -cert FILE -key FILE -upstream http://127.0.0.1:9000
//
// A WebSocket (gorilla/websocket) whose binary messages are TLS (crypto/tls), and in it HTTP/1.1 or HTTP/2 (net/http),
// forwarded by httputil.ReverseProxy. No part of it is tuned; it has none of the limits and checks that a proxy needs.
package main

import (
	"crypto/tls"
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address of the WebSocket server")
	certificate := flag.String("cert", "", "file of the certificate, in PEM")
	key := flag.String("key", "", "file of its key, in PEM")
	upstream := flag.String("upstream", "", "URL of the server that requests go to")
	flag.Parse()
	target, err := url.Parse(*upstream)
	if err != nil || target.Scheme != "http" || target.Host == "" {
		log.Fatalf("-upstream %q is no URL like http://127.0.0.1:9000", *upstream)
	}
	identity, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatalf("-cert and -key: %v", err)
	}
	config := &tls.Config{
		Certificates:     []tls.Certificate{identity},
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519},
		NextProtos:       []string{"h2", "http/1.1"},
	}
	accepted := make(chan net.Conn)
	inner := &http.Server{Handler: logged(forward(target)), TLSConfig: config}
	go func() { log.Fatal(inner.Serve(tunnels{accepted})) }()
	log.Fatal(http.ListenAndServe(*listen, upgrade(config, accepted)))
}

// upgrade turns each request into a WebSocket, and what is in it into a connection for the inner server.
func upgrade(config *tls.Config, accepted chan<- net.Conn) http.Handler {
	upgrader := websocket.Upgrader{
		ReadBufferSize: 32 << 10, WriteBufferSize: 32 << 10,
		CheckOrigin: func(*http.Request) bool { return true },
	}
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		socket, err := upgrader.Upgrade(response, request, nil)
		if err != nil {
			return
		}
		accepted <- tls.Server(newTunnel(socket), config)
	})
}

// forward is a reverse proxy that sends on at once what comes, as event streams need it.
func forward(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Director: func(request *http.Request) {
			request.URL.Scheme, request.URL.Host = target.Scheme, target.Host
		},
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
		FlushInterval: -1,
	}
}

// logged writes a line for each request, as ours does.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		start := time.Now()
		next.ServeHTTP(response, request)
		log.Printf("%s %s%s %v", request.Method, request.Host, request.URL.Path, time.Since(start))
	})
}

// tunnels is a listener whose connections come out of WebSockets.
type tunnels struct{ accepted <-chan net.Conn }

func (t tunnels) Accept() (net.Conn, error) { return <-t.accepted, nil }
func (t tunnels) Close() error              { return nil }
func (t tunnels) Addr() net.Addr            { return &net.TCPAddr{} }
