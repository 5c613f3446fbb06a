package gol2tp

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// standIn takes the place of pppd behind xl2tpd: PPP frames in HDLC's octet stuffing (RFC 1662) come
// and go by a pty. It writes each frame to a file, answers LCP's Configure-Request with a
// Configure-Ack, and, if it asks, sends a Configure-Request of its own every second.
func standIn(log string, asks bool) error {
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if term, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		term.Iflag, term.Oflag, term.Lflag = 0, 0, 0
		term.Cflag |= unix.CS8
		term.Cc[unix.VMIN], term.Cc[unix.VTIME] = 1, 0
		_ = unix.IoctlSetTermios(0, unix.TCSETS, term)
	}
	if asks {
		go func() { // the other end may not be there yet
			for ; ; time.Sleep(time.Second) {
				_, _ = os.Stdout.Write(hdlc([]byte{0xff, 0x03, 0xc0, 0x21, 1, 7, 0, 10, 5, 6, 0xfe, 0xed, 0xfa, 0xce}))
			}
		}()
	}
	var frame []byte
	escaped := false
	for b := make([]byte, 4096); ; {
		n, err := os.Stdin.Read(b)
		if err != nil {
			return nil // xl2tpd closed it
		}
		for _, c := range b[:n] {
			switch {
			case c == 0x7e:
				if len(frame) > 2 && hdlcSum(frame) == hdlcGood {
					answer(f, frame[:len(frame)-2])
				}
				frame, escaped = frame[:0], false
			case c == 0x7d:
				escaped = true
			case escaped:
				frame, escaped = append(frame, c^0x20), false
			default:
				frame = append(frame, c)
			}
		}
	}
}

func answer(f *os.File, frame []byte) {
	fmt.Fprintf(f, "%x\n", frame)
	// ff03 c021 01: LCP Configure-Request
	if len(frame) >= 8 && frame[0] == 0xff && frame[1] == 0x03 && frame[2] == 0xc0 && frame[3] == 0x21 && frame[4] == 1 {
		ack := append([]byte(nil), frame...)
		ack[4] = 2
		_, _ = os.Stdout.Write(hdlc(ack))
	}
}

// hdlcGood is what the sum of a frame with its check sequence is.
const hdlcGood = 0xf0b8

func hdlcSum(b []byte) uint16 {
	sum := uint16(0xffff)
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0x8408
			} else {
				sum >>= 1
			}
		}
	}
	return sum
}

func hdlc(frame []byte) []byte {
	sum := ^hdlcSum(frame)
	out := []byte{0x7e}
	for _, c := range append(append([]byte(nil), frame...), byte(sum), byte(sum>>8)) {
		if c < 0x20 || c == 0x7d || c == 0x7e {
			out = append(out, 0x7d, c^0x20)
		} else {
			out = append(out, c)
		}
	}
	return append(out, 0x7e)
}
