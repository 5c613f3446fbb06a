package host

import (
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Promiscuous makes an interface take frames to any MAC until the closer is closed or the process
// ends. It lasts through resets of the driver, but not longer than the interface.
func (h *Host) Promiscuous(name string) (io.Closer, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("look up interface %s: %w", name, err)
	}
	// Protocol 0: the socket is a membership, it receives nothing.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	m := unix.PacketMreq{Ifindex: int32(i.Index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make %s promiscuous: %w", name, err)
	}
	return os.NewFile(uintptr(fd), "promiscuous:"+name), nil
}
