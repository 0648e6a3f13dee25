package main

import (
	"io"
	"net"

	"github.com/gorilla/websocket"
)

// tunnel is the bytes of a WebSocket's binary messages as a net.Conn.
//
// Reads come through a pipe. net/http ends a read by a deadline in the past and reads on later, and a gorilla
// connection whose read has failed once cannot be read again.
type tunnel struct {
	net.Conn
	socket *websocket.Conn
}

func newTunnel(socket *websocket.Conn) net.Conn {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		for {
			kind, message, err := socket.NextReader()
			if err != nil {
				return
			}
			if kind != websocket.BinaryMessage {
				continue
			}
			if _, err := io.Copy(far, message); err != nil {
				return
			}
		}
	}()
	return &tunnel{near, socket}
}

// Write is called by crypto/tls under a lock of its own, as gorilla wants it: one writer at a time.
func (t *tunnel) Write(data []byte) (int, error) {
	if err := t.socket.WriteMessage(websocket.BinaryMessage, data); err != nil {
		return 0, err
	}
	return len(data), nil
}

func (t *tunnel) Close() error {
	t.Conn.Close()
	return t.socket.Close()
}
