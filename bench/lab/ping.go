package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// PingConfig says how to ping. The zero value sends one echo request of 56
// bytes and waits five seconds for its answer.
type PingConfig struct {
	Count        int           // 0: 1
	Interval     time.Duration // between requests; 0: 10 ms
	Timeout      time.Duration // for answers, after the last request; 0: 5 s
	Size         int           // ICMP payload in bytes; 0: 56. 1472 makes a 1500-byte IPv4 packet, 1452 an IPv6 one
	DontFragment bool          // IPv4 DF; requests too large for the interface are errors
	Interface    string        // for link-local addresses, or to bind
	Source       netip.Addr    // of the requests; not valid: as the route says
}

// PingResult counts echo requests and their answers.
type PingResult struct {
	Sent, Received      int
	Duplicates, Damaged int // not in Received
	RTTs                []time.Duration
}

// Lost is what was sent and not answered whole.
func (r PingResult) Lost() int { return r.Sent - r.Received }

const (
	pingHeader = 8
	icmp4Echo  = 8
	icmp4Reply = 0
	icmp6Echo  = 128
	icmp6Reply = 129
)

// Ping sends ICMP or ICMPv6 echo requests from the namespace and compares the
// answers byte by byte. Lost answers are no error.
func (n *Namespace) Ping(ctx context.Context, addr netip.Addr, c PingConfig) (PingResult, error) {
	r, err := n.ping(ctx, addr.Unmap(), c)
	if err != nil {
		return r, fmt.Errorf("ping %v from %s: %w", addr, n.name, err)
	}
	return r, nil
}

func (n *Namespace) ping(ctx context.Context, addr netip.Addr, c PingConfig) (PingResult, error) {
	c.Count = cmp.Or(c.Count, 1)
	c.Interval = cmp.Or(c.Interval, 10*time.Millisecond)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Size = cmp.Or(c.Size, 56)
	sock, err := n.openPing(addr, c)
	if err != nil {
		return PingResult{}, err
	}
	defer sock.Close()

	p := pinger{addr: addr, sentAt: make([]time.Time, c.Count), seen: make([]bool, c.Count), size: c.Size}
	p.id = uint16(time.Now().UnixNano())
	request := make([]byte, pingHeader+c.Size)
	answer := make([]byte, 65536)
	for i := range c.Count {
		p.fill(request, i)
		p.sentAt[i] = time.Now()
		if _, err := sock.Write(request); err != nil && !transient(err) {
			return p.result, fmt.Errorf("send request %d of %d bytes: %w", i, c.Size, err)
		}
		p.result.Sent++
		until := p.sentAt[i].Add(c.Interval)
		if i == c.Count-1 {
			until = p.sentAt[i].Add(c.Timeout)
		}
		for p.result.Received < c.Count && ctx.Err() == nil {
			sock.SetReadDeadline(until)
			got, err := sock.Read(answer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err == nil {
				p.take(answer[:got])
			} else if !transient(err) {
				return p.result, fmt.Errorf("receive: %w", err)
			}
		}
		if err := ctx.Err(); err != nil {
			return p.result, err
		}
	}
	return p.result, nil
}

// transient errors are ICMP errors about earlier packets and full queues: the
// request counts as sent and lost.
func transient(err error) bool {
	return errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) ||
		errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOBUFS)
}

func (n *Namespace) openPing(addr netip.Addr, c PingConfig) (*os.File, error) {
	var file *os.File
	err := n.Run(func() error {
		domain, proto, to, err := pingTarget(addr, c.Interface)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
		if err != nil {
			return fmt.Errorf("open ICMP socket: %w", err)
		}
		file = os.NewFile(uintptr(fd), "icmp")
		if c.Interface != "" {
			if err := unix.BindToDevice(fd, c.Interface); err != nil {
				return fmt.Errorf("bind to %s: %w", c.Interface, err)
			}
		}
		if c.DontFragment && domain == unix.AF_INET {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO); err != nil {
				return fmt.Errorf("set DF: %w", err)
			}
		}
		if c.Source.IsValid() {
			_, _, from, err := pingTarget(c.Source, c.Interface)
			if err == nil {
				err = unix.Bind(fd, from)
			}
			if err != nil {
				return fmt.Errorf("send from %v: %w", c.Source, err)
			}
		}
		return unix.Connect(fd, to)
	})
	if err != nil && file != nil {
		file.Close()
	}
	return file, err
}

func pingTarget(addr netip.Addr, iface string) (domain, proto int, to unix.Sockaddr, err error) {
	switch {
	case !addr.IsValid():
		return 0, 0, nil, errors.New("no address")
	case addr.Is4():
		return unix.AF_INET, unix.IPPROTO_ICMP, &unix.SockaddrInet4{Addr: addr.As4()}, nil
	}
	zone := uint32(0)
	if name := cmp.Or(addr.Zone(), iface); name != "" && addr.IsLinkLocalUnicast() {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return 0, 0, nil, err
		}
		zone = uint32(i.Index)
	}
	return unix.AF_INET6, unix.IPPROTO_ICMPV6, &unix.SockaddrInet6{Addr: addr.As16(), ZoneId: zone}, nil
}

type pinger struct {
	addr   netip.Addr
	id     uint16
	size   int
	sentAt []time.Time
	seen   []bool
	result PingResult
}

// fill writes request i: type, code, checksum, id, sequence, and a payload that
// differs from every other request's.
func (p *pinger) fill(b []byte, i int) {
	clear(b[:pingHeader])
	b[0] = icmp4Echo
	if p.addr.Is6() {
		b[0] = icmp6Echo // the kernel computes ICMPv6 checksums
	}
	binary.BigEndian.PutUint16(b[4:], p.id)
	binary.BigEndian.PutUint16(b[6:], uint16(i))
	for k := range b[pingHeader:] {
		b[pingHeader+k] = byte(k*7 + i)
	}
	if !p.addr.Is6() {
		binary.BigEndian.PutUint16(b[2:], internetChecksum(b))
	}
}

func (p *pinger) take(b []byte) {
	reply := byte(icmp6Reply)
	if !p.addr.Is6() {
		reply = icmp4Reply
		if len(b) < 20 {
			return
		}
		b = b[int(b[0]&0xf)*4:] // raw IPv4 sockets give the IP header too
	}
	if len(b) < pingHeader || b[0] != reply || binary.BigEndian.Uint16(b[4:]) != p.id {
		return
	}
	i := int(binary.BigEndian.Uint16(b[6:]))
	if i >= len(p.seen) || p.sentAt[i].IsZero() {
		return
	}
	want := make([]byte, pingHeader+p.size)
	p.fill(want, i)
	switch {
	case !bytes.Equal(b[pingHeader:], want[pingHeader:]):
		p.result.Damaged++
	case p.seen[i]:
		p.result.Duplicates++
	default:
		p.seen[i] = true
		p.result.Received++
		p.result.RTTs = append(p.result.RTTs, time.Since(p.sentAt[i]))
	}
}

func internetChecksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
