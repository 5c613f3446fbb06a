package control

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// wire puts labelled bytes together: what stands behind a # is a label.
func wire(t *testing.T, lines string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(lines) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.ReplaceAll(strings.TrimSpace(line), " ", ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const helloV3 = `
	c803        # T L S, version 3
	0014        # length 20
	11223344    # control connection id
	0102 0304   # Ns, Nr
	8008 0000   # AVP: M, length 8, vendor IETF
	0000 0006   # Message Type: HELLO
`

func TestMessages(t *testing.T) {
	for _, test := range []struct {
		name, bytes string
		want        Message
	}{
		{"HELLO of L2TPv3", helloV3, Message{Version: 3, ID: 0x11223344, Ns: 0x0102, Nr: 0x0304, Type: Hello, Body: Body(Hello)}},
		{"ACK of L2TPv3", `
			c803 0014 00000007 # length 20, id 7
			0000 0001          # Ns, Nr
			8008 0000 0000 0014 # Message Type: ACK`,
			Message{Version: 3, ID: 7, Nr: 1, Type: ACK, Body: Body(ACK)}},
		{"ZLB of L2TPv2", `
			c802 000c  # length 12
			0016 002c  # tunnel id 22, session id 44
			ffff 0000  # Ns, Nr`,
			Message{Version: 2, ID: 22, Session: 44, Ns: 0xffff, Type: ZLB, Body: []byte{}}},
		{"StopCCN of L2TPv2", `
			c802 0024  # length 36
			0016 0000  # tunnel id 22
			0001 0002
			8008 0000 0000 0004      # Message Type: StopCCN
			8008 0000 0009 0005      # Assigned Tunnel ID 5
			8008 0000 0001 0006      # Result Code 6`,
			Message{Version: 2, ID: 22, Ns: 1, Nr: 2, Type: StopCCN, Body: append(Body(StopCCN), 0x80, 8, 0, 0, 0, 9, 0, 5, 0x80, 8, 0, 0, 0, 1, 0, 6)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := wire(t, test.bytes)
			got, err := Parse(append(b[:len(b):len(b)], 0xee, 0xee)) // Ethernet's padding
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("Parse = %+v, want %+v", got, test.want)
			}
			if again := test.want.Append(nil); !bytes.Equal(again, b) {
				t.Errorf("Append = %x, want %x", again, b)
			}
		})
	}
}

func TestRefusedMessages(t *testing.T) {
	for _, test := range []struct{ name, bytes, want string }{
		{"short", "c803 000c 00000001 0000 00", "11 bytes"},
		{"data", "0003 000c 00000001 0000 0000", "T, L and S"},
		{"no length bit", "8803 000c 00000001 0000 0000", "T, L and S"},
		{"no sequence bit", "c003 000c 00000001 0000 0000", "T, L and S"},
		{"version 1", "c801 000c 00000001 0000 0000", "version 1"},
		{"tunneldigger keepalive", "8073 a701 05 02 0001 00000000", "T, L and S"},
		{"length below the header", "c803 000b 00000001 0000 0000", "length 11"},
		{"length beyond the bytes", "c803 000d 00000001 0000 0000", "length 13"},
		{"AVP cut off", "c803 000f 00000001 0000 0000 8008 00", "cut off"},
		{"AVP of length 5", "c803 0014 00000001 0000 0000 8005 0000 0000 0006", "length 5"},
		{"AVP beyond the message", "c803 0014 00000001 0000 0000 8009 0000 0000 0006", "length 9"},
		{"Message Type not first", "c803 0014 00000001 0000 0000 8008 0000 0009 0006", "AVP 9"},
		{"Message Type of a vendor", "c803 0014 00000001 0000 0000 8008 0009 0000 0006", "vendor 9"},
		{"Message Type of three bytes", "c803 0015 00000001 0000 0000 8009 0000 0000 000600", "Message Type"},
		{"hidden Message Type", "c803 0014 00000001 0000 0000 c008 0000 0000 0006", "Message Type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := Parse(wire(t, test.bytes))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse = %+v, %v; want an error with %q", m, err, test.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"c803001411223344010203048008000000000006", "c802000c0016002cffff0000",
		"c8020024001600000001000280080000000000048008000000090005800800000001000600", "c803000f0000000100000000800800",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(m.Append(nil))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%x: %+v is written as %+v, %v", b, m, again, err)
		}
		var body []byte
		for a := range AVPs(m.Body) {
			body = a.Append(body)
		}
		if len(body) != len(m.Body) {
			t.Errorf("%x: AVPs of %d bytes are written as %d", b, len(m.Body), len(body))
		}
	})
}
