package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtool speaks SIOCETHTOOL of linux/ethtool.h. A command is a run of 32-bit words of which the
// first is its number; it is spoken here and not by a library because the pointer must stay one
// until the kernel has it (a stack may move), and because tables must be as long as the NIC's.
type ethtool struct{ fd int }

const (
	ethSSFeatures = 4  // ETH_SS_FEATURES
	gstringLen    = 32 // ETH_GSTRING_LEN
)

func openEthtool() (ethtool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ethtool{}, fmt.Errorf("open a socket for ethtool: %w", err)
	}
	return ethtool{fd}, nil
}

func (e ethtool) close() error { return unix.Close(e.fd) }

// ifreq is struct ifreq of linux/if.h with ifr_data.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// call hands a command to the kernel, which answers in the same words.
func (e ethtool) call(name string, words []uint32) error {
	if len(name) >= unix.IFNAMSIZ {
		return unix.EINVAL
	}
	req := ifreq{data: unsafe.Pointer(unsafe.SliceData(words))}
	copy(req.name[:], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(words)
	if errno != 0 {
		return errno
	}
	return nil
}

// bytesOf shows words as the bytes they are in memory.
func bytesOf(words []uint32) []byte {
	b := make([]byte, 0, 4*len(words))
	for _, w := range words {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

func (e ethtool) driver(name string) (driver, bus string, err error) {
	info, err := unix.IoctlGetEthtoolDrvinfo(e.fd, name)
	if err != nil {
		return "", "", err
	}
	return unix.ByteSliceToString(info.Driver[:]), unix.ByteSliceToString(info.Bus_info[:]), nil
}

// channels is what struct ethtool_channels says that matters here.
type channels struct{ rx, tx, combined uint32 }

// channels of a driver that does not tell them give unix.EOPNOTSUPP.
func (e ethtool) channels(name string) (channels, error) {
	// cmd, then the maxima of rx, tx, other, combined, then the counts of the same.
	words := make([]uint32, 9)
	words[0] = unix.ETHTOOL_GCHANNELS
	if err := e.call(name, words); err != nil {
		return channels{}, err
	}
	return channels{rx: words[5], tx: words[6], combined: words[8]}, nil
}

// indirection is the RSS table: the RX queue of each bucket. Empty: the device has none.
func (e ethtool) indirection(name string) ([]uint32, error) {
	head := []uint32{unix.ETHTOOL_GRXFHINDIR, 0} // cmd, size
	err := e.call(name, head)
	if errors.Is(err, unix.EOPNOTSUPP) || err == nil && head[1] == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	words := make([]uint32, 2+head[1])
	words[0], words[1] = unix.ETHTOOL_GRXFHINDIR, head[1]
	if err := e.call(name, words); err != nil {
		return nil, err
	}
	return words[2:], nil
}

// speed is in Mbit/s, 0 when the link does not tell.
func (e ethtool) speed(name string) uint32 {
	// The first call tells the length of the link mode masks, as a negative number.
	const fixed = 12 // words of struct ethtool_link_settings
	words := make([]uint32, fixed, fixed+3*127)
	words[0] = unix.ETHTOOL_GLINKSETTINGS
	if err := e.call(name, words); err != nil {
		return 0
	}
	masks := -int8(bytesOf(words)[15])
	if masks <= 0 {
		return 0
	}
	words = words[:fixed+3*int(masks)]
	clear(words)
	words[0] = unix.ETHTOOL_GLINKSETTINGS
	words[3] = binary.NativeEndian.Uint32([]byte{0, 0, 0, byte(masks)})
	if err := e.call(name, words); err != nil || words[1] == ^uint32(0) {
		return 0
	}
	return words[1]
}

// feature is the state of one offload.
type feature struct {
	bit        uint32
	changeable bool // not what ethtool shows as [fixed]
	wanted     bool // asked for; without effect while something it needs is off
	active     bool
}

// featureNames are in the order of their bits.
func (e ethtool) featureNames(name string) ([]string, error) {
	info := make([]uint32, 5) // cmd, reserved, a 64-bit mask of sets, the length of the set
	info[0] = unix.ETHTOOL_GSSET_INFO
	mask := binary.NativeEndian.AppendUint64(nil, 1<<ethSSFeatures)
	info[2], info[3] = binary.NativeEndian.Uint32(mask), binary.NativeEndian.Uint32(mask[4:])
	if err := e.call(name, info); err != nil {
		return nil, err
	}
	n := info[4]
	words := make([]uint32, 3+n*gstringLen/4)
	words[0], words[1], words[2] = unix.ETHTOOL_GSTRINGS, ethSSFeatures, n
	if err := e.call(name, words); err != nil {
		return nil, err
	}
	raw := bytesOf(words[3:])
	names := make([]string, n)
	for i := range names {
		names[i] = unix.ByteSliceToString(raw[i*gstringLen : (i+1)*gstringLen])
	}
	return names, nil
}

// features are those of one interface by name; blocks is the length the kernel insists on.
type features struct {
	byName map[string]feature
	blocks uint32
}

func (e ethtool) features(name string) (features, error) {
	names, err := e.featureNames(name)
	if err != nil {
		return features{}, err
	}
	blocks := (uint32(len(names)) + 31) / 32
	words := make([]uint32, 2+4*blocks) // each block: available, requested, active, never changed
	words[0], words[1] = unix.ETHTOOL_GFEATURES, blocks
	if err := e.call(name, words); err != nil {
		return features{}, err
	}
	all := make(map[string]feature, len(names))
	for i, n := range names {
		block, mask := words[2+i/32*4:], uint32(1)<<(i%32)
		all[n] = feature{
			bit:        uint32(i),
			changeable: block[0]&mask != 0 && block[3]&mask == 0,
			wanted:     block[1]&mask != 0,
			active:     block[2]&mask != 0,
		}
	}
	delete(all, "")
	return features{all, blocks}, nil
}

// setFeatures changes several at once, so that a driver that resets for it does so once. What a
// driver refuses shows only when features are read again.
func (e ethtool) setFeatures(name string, known features, on map[string]bool) error {
	words := make([]uint32, 2+2*known.blocks) // each block: valid, requested
	words[0], words[1] = unix.ETHTOOL_SFEATURES, known.blocks
	for n, v := range on {
		f, ok := known.byName[n]
		if !ok {
			return fmt.Errorf("set %s: the kernel knows no such feature", n)
		}
		i, mask := 2+f.bit/32*2, uint32(1)<<(f.bit%32)
		words[i] |= mask
		if v {
			words[i+1] |= mask
		}
	}
	return e.call(name, words)
}
