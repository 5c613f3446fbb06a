package lab

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// TransferConfig says what to carry. The zero value carries 64 MiB to a port
// that the kernel chooses.
type TransferConfig struct {
	Bytes int64
	Seed  uint64 // of the random bytes
	// Progress, when set, is called from the sender with what it has written.
	Progress func(bytes int64)
}

// TransferResult is what both ends saw.
type TransferResult struct {
	Bytes          int64 // received
	Seconds        float64
	SentSHA256     string
	ReceivedSHA256 string
}

// Whole tells whether both ends saw the same bytes.
func (r TransferResult) Whole() bool { return r.SentSHA256 != "" && r.SentSHA256 == r.ReceivedSHA256 }

// GbitPerSecond is the rate of the payload.
func (r TransferResult) GbitPerSecond() float64 {
	if r.Seconds == 0 {
		return 0
	}
	return float64(r.Bytes) * 8 / r.Seconds / 1e9
}

const transferBlock = 256 << 10

// Transfer carries random bytes over one TCP connection from one namespace to
// an address of another, hashed at both ends.
func Transfer(ctx context.Context, from, to *Namespace, addr netip.Addr, c TransferConfig) (TransferResult, error) {
	c.Bytes = cmp.Or(c.Bytes, 64<<20)
	r, err := transfer(ctx, from, to, addr, c)
	if err != nil {
		return r, fmt.Errorf("transfer %d bytes from %s to %v: %w", c.Bytes, from.name, addr, err)
	}
	return r, nil
}

func transfer(ctx context.Context, from, to *Namespace, addr netip.Addr, c TransferConfig) (TransferResult, error) {
	var r TransferResult
	var listener net.Listener
	err := to.Run(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
		return err
	})
	if err != nil {
		return r, err
	}
	defer listener.Close()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()

	type end struct {
		bytes int64
		sum   string
		err   error
	}
	received := make(chan end, 1)
	go func() {
		var e end
		e.bytes, e.sum, e.err = receive(ctx, listener)
		received <- e
	}()

	var out net.Conn
	err = from.Run(func() (err error) {
		d := net.Dialer{Timeout: 30 * time.Second}
		out, err = d.DialContext(ctx, "tcp", listener.Addr().String())
		return err
	})
	if err != nil {
		listener.Close()
		<-received
		return r, err
	}
	defer out.Close()
	unblock := context.AfterFunc(ctx, func() { out.SetDeadline(time.Unix(1, 0)) })
	defer unblock()

	start := time.Now()
	r.SentSHA256, err = send(out, c)
	if err != nil {
		listener.Close()
		return r, fmt.Errorf("send: %w", err)
	}
	got := <-received
	if got.err != nil {
		return r, fmt.Errorf("receive: %w", got.err)
	}
	r.Seconds = time.Since(start).Seconds()
	r.Bytes, r.ReceivedSHA256 = got.bytes, got.sum
	return r, nil
}

func send(out net.Conn, c TransferConfig) (string, error) {
	sum := sha256.New()
	var key [32]byte
	key[0], key[1], key[2], key[3] = byte(c.Seed), byte(c.Seed>>8), byte(c.Seed>>16), byte(c.Seed>>24)
	source := rand.NewChaCha8(key)
	block := make([]byte, transferBlock)
	for sent := int64(0); sent < c.Bytes; {
		b := block[:min(int64(len(block)), c.Bytes-sent)]
		source.Read(b)
		sum.Write(b)
		if _, err := out.Write(b); err != nil {
			return "", err
		}
		sent += int64(len(b))
		if c.Progress != nil {
			c.Progress(sent)
		}
	}
	if err := out.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	return sumText(sum), nil
}

func receive(ctx context.Context, l net.Listener) (int64, string, error) {
	in, err := l.Accept()
	if err != nil {
		return 0, "", err
	}
	defer in.Close()
	unblock := context.AfterFunc(ctx, func() { in.SetDeadline(time.Unix(1, 0)) })
	defer unblock()
	sum := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{in}, make([]byte, transferBlock))
	return n, sumText(sum), err
}

func sumText(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
