package rings

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file alone imports unsafe: typed views of memory shared with the kernel, and the system
// calls that x/sys/unix has no functions for, or only ones that take addresses.

const ringNeedWakeup = unix.XDP_RING_NEED_WAKEUP

// ringView is one ring in memory shared with the kernel.
type ringView struct {
	producer, consumer, flags *uint32
	first                     unsafe.Pointer
	size                      uint32
}

// viewRing finds the parts of a ring of size entries of entrySize bytes in mem, which must stay
// mapped for as long as the ring is used.
func viewRing(mem []byte, off unix.XDPRingOffset, size uint32, entrySize uintptr) (ringView, error) {
	word := func(at uint64) *uint32 { return (*uint32)(unsafe.Pointer(&mem[at])) }
	end := uint64(len(mem))
	if off.Producer+4 > end || off.Consumer+4 > end || off.Flags+4 > end || off.Desc+uint64(size)*uint64(entrySize) > end {
		return ringView{}, fmt.Errorf("view ring: offsets %+v lie outside %d mapped bytes", off, end)
	}
	return ringView{word(off.Producer), word(off.Consumer), word(off.Flags), unsafe.Pointer(&mem[off.Desc]), size}, nil
}

func (v ringView) addresses() []uint64 { return unsafe.Slice((*uint64)(v.first), v.size) }

func (v ringView) descriptors() []unix.XDPDesc { return unsafe.Slice((*unix.XDPDesc)(v.first), v.size) }

const (
	addressSize    = unsafe.Sizeof(uint64(0))
	descriptorSize = unsafe.Sizeof(unix.XDPDesc{})
)

func (v ringView) fill() *fillRing {
	return &fillRing{producer: v.producer, consumer: v.consumer, flags: v.flags, entries: v.addresses(), mask: v.size - 1}
}

func (v ringView) completion() *completionRing {
	return &completionRing{producer: v.producer, consumer: v.consumer, entries: v.addresses(), mask: v.size - 1}
}

func (v ringView) rx() *rxRing {
	return &rxRing{producer: v.producer, consumer: v.consumer, entries: v.descriptors(), mask: v.size - 1}
}

func (v ringView) tx() *txRing {
	return &txRing{producer: v.producer, consumer: v.consumer, flags: v.flags, entries: v.descriptors(), mask: v.size - 1}
}

// mapAligned maps and populates all of a file of size bytes, both multiples of a power of two, at a multiple
// of that: only so can huge pages lie under it.
func mapAligned(fd int, size, align uintptr) ([]byte, error) {
	reserved, err := unix.MmapPtr(-1, 0, nil, size+align, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	front := -uintptr(reserved) & (align - 1)
	at := unsafe.Add(reserved, front)
	// Without MAP_POPULATE a shortage of huge pages would show as a fault on first touch.
	mem, err := unix.MmapPtr(fd, 0, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE|unix.MAP_FIXED)
	if err != nil {
		unix.MunmapPtr(reserved, size+align)
		return nil, err
	}
	if front > 0 {
		unix.MunmapPtr(reserved, front)
	}
	if back := align - front; back > 0 {
		unix.MunmapPtr(unsafe.Add(at, size), back)
	}
	return unsafe.Slice((*byte)(mem), size), nil
}

func unmap(mem []byte) error { return unix.MunmapPtr(unsafe.Pointer(&mem[0]), uintptr(len(mem))) }

// registerMemory registers mem as the UMEM of the socket. The kernel pins it until the last socket
// that uses the registration is gone.
func registerMemory(fd int, mem []byte, chunk int) error {
	reg := unix.XDPUmemReg{
		Addr: uint64(uintptr(unsafe.Pointer(&mem[0]))),
		Len:  uint64(len(mem)),
		Size: uint32(chunk),
	}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&reg)), unsafe.Sizeof(reg), 0)
	return errnoError(errno)
}

func getXDPOption(fd, option int, value unsafe.Pointer, size uintptr) error {
	length := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option),
		uintptr(value), uintptr(unsafe.Pointer(&length)), 0)
	return errnoError(errno)
}

func ringOffsets(fd int) (off unix.XDPMmapOffsets, err error) {
	err = getXDPOption(fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&off), unsafe.Sizeof(off))
	return off, err
}

func kernelStatistics(fd int) (stats unix.XDPStatistics, err error) {
	err = getXDPOption(fd, unix.XDP_STATISTICS, unsafe.Pointer(&stats), unsafe.Sizeof(stats))
	return stats, err
}

// grantedZeroCopy asks the kernel how a bound socket is bound.
func grantedZeroCopy(fd int) (bool, error) {
	var options uint32
	err := getXDPOption(fd, unix.XDP_OPTIONS, unsafe.Pointer(&options), unsafe.Sizeof(options))
	return options&unix.XDP_OPTIONS_ZEROCOPY != 0, err
}

// wakeTX and wakeRX tell the kernel to look at its rings. They are ordinary system calls: in copy
// mode the kernel sends within the call, too long to keep the garbage collector waiting.
func wakeTX(fd int) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}

func wakeRX(fd int) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// ethtoolChannels is struct ethtool_channels.
type ethtoolChannels struct {
	cmd, maxRX, maxTX, maxOther, maxCombined, rx, tx, other, combined uint32
}

// queueCounts asks the driver how many queues an interface receives and sends on.
func queueCounts(name string) (rx, tx int, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(fd)
	channels := ethtoolChannels{cmd: unix.ETHTOOL_GCHANNELS}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&channels)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return 0, 0, errno
	}
	rx, tx = int(channels.rx+channels.combined), int(channels.tx+channels.combined)
	if rx == 0 || tx == 0 {
		return 0, 0, os.ErrNotExist
	}
	return rx, tx, nil
}

func errnoError(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
