package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// packetSocket is an AF_PACKET socket on one interface.
type packetSocket struct {
	file *os.File
	name string
}

// openPacket opens a socket for every EtherType; receive false opens one that
// only sends.
func (n *Namespace) openPacket(iface string, receive bool) (*packetSocket, error) {
	s := &packetSocket{name: iface}
	err := n.Run(func() error {
		i, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		s.file = os.NewFile(uintptr(fd), iface)
		to := &unix.SockaddrLinklayer{Ifindex: i.Index}
		if receive {
			to.Protocol = uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8
			m := unix.PacketMreq{Ifindex: int32(i.Index), Type: unix.PACKET_MR_PROMISC}
			err = errors.Join(
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
				unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
				unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
				unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m))
		} else {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16<<20)
		}
		if err != nil {
			return err
		}
		return unix.Bind(fd, to)
	})
	if err != nil {
		if s.file != nil {
			s.file.Close()
		}
		return nil, fmt.Errorf("open packet socket on %s in %s: %w", iface, n.name, err)
	}
	return s, nil
}

func (s *packetSocket) Close() error { return s.file.Close() }

// write sends one frame and waits when the device's queue is full.
func (s *packetSocket) write(frame []byte) error {
	for {
		_, err := s.file.Write(frame)
		if !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// read receives frames that the interface got (not those it sent) into b, a
// VLAN tag that the kernel took out put back in. It ends with os.ErrClosed.
func (s *packetSocket) read(b []byte) (int, error) {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return 0, os.ErrClosed
	}
	var control [128]byte
	var n, cn int
	var got error
	err = raw.Read(func(fd uintptr) bool {
		// Four bytes are left free for the tag.
		n, cn, _, _, got = unix.Recvmsg(int(fd), b[4:], control[:], unix.MSG_DONTWAIT)
		return !errors.Is(got, unix.EAGAIN)
	})
	if err != nil {
		return 0, os.ErrClosed
	}
	if got != nil {
		return 0, got
	}
	tpid, tci, tagged := auxTag(control[:cn])
	if !tagged || n < 12 {
		return copy(b, b[4:4+n]), nil
	}
	copy(b, b[4:16])
	binary.BigEndian.PutUint16(b[12:], tpid)
	binary.BigEndian.PutUint16(b[14:], tci)
	return n + 4, nil
}

// auxTag finds the tag of a struct tpacket_auxdata: status, len, snaplen (u32),
// mac, net, tci, tpid (u16), all in the machine's order.
func auxTag(control []byte) (tpid, tci uint16, ok bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, 0, false
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		status := binary.NativeEndian.Uint32(m.Data)
		if status&unix.TP_STATUS_VLAN_VALID == 0 {
			return 0, 0, false
		}
		tpid = unix.ETH_P_8021Q
		if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
			tpid = binary.NativeEndian.Uint16(m.Data[18:])
		}
		return tpid, binary.NativeEndian.Uint16(m.Data[16:]), true
	}
	return 0, 0, false
}
