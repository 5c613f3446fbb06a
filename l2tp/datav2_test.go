package l2tp

import (
	"bytes"
	"testing"
)

// Every combination of L, S and O, with P and reserved bits among them.
func TestV2FormsRFC2661Section31(t *testing.T) {
	const payload = "ff03 c021 01"
	for _, c := range []struct {
		name      string
		header    []string
		ns        uint16
		sequenced bool
	}{
		{"Plain", []string{"0002", "000b 000c"}, 0, false},
		{"Priority", []string{"0102", "000b 000c"}, 0, false},
		{"Reserved", []string{"34f2", "000b 000c"}, 0, false}, // all bits but T, L, S, O and P
		{"L", []string{"4002", "000d", "000b 000c"}, 0, false},
		{"LTooSmall", []string{"4002", "0001", "000b 000c"}, 0, false},
		{"LTooLarge", []string{"4002", "ffff", "000b 000c"}, 0, false},
		{"S", []string{"0802", "000b 000c", "fffe 1234"}, 0xfffe, true}, // Nr is not 0
		{"O", []string{"0202", "000b 000c", "0003 aaaaaa"}, 0, false},
		{"OffsetZero", []string{"0202", "000b 000c", "0000"}, 0, false},
		{"LS", []string{"4802", "0011", "000b 000c", "0007 0000"}, 7, true},
		{"LO", []string{"4202", "0010", "000b 000c", "0001 00"}, 0, false},
		{"SO", []string{"0a02", "000b 000c", "0000 0000", "0002 ffff"}, 0, true},
		{"LSOP", []string{"4b02", "0014", "000b 000c", "0001 0002", "0001 ee"}, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := bytesOf(t, c.header...)
			m := V2(append(header[:len(header):len(header)], bytesOf(t, payload)...))
			if !IsDataV2(m.Flags()) || IsData(m.Flags()) || !m.Valid() || m.IDs() != 0x000b000c {
				t.Fatalf("data %t, valid %t, ids %#x", IsDataV2(m.Flags()), m.Valid(), m.IDs())
			}
			if n, ok := m.HeaderLen(); !ok || n != len(header) {
				t.Errorf("HeaderLen() = %d, %t; want %d", n, ok, len(header))
			}
			if ns, ok := m.Ns(); ns != c.ns || ok != c.sequenced {
				t.Errorf("Ns() = %d, %t; want %d, %t", ns, ok, c.ns, c.sequenced)
			}
		})
	}
}

func TestV2Cut(t *testing.T) {
	for _, c := range []struct {
		name           string
		bytes          []string
		valid, headers bool
	}{
		{"WithoutSessionID", []string{"0002 000b 00"}, false, false},
		{"IDs", []string{"0002 000b 000c"}, true, true},
		{"LengthForIDs", []string{"4002 0006 000b"}, false, false},
		{"LengthAndIDs", []string{"4002 0008 000b 000c"}, true, true},
		{"WithoutNr", []string{"0802 000b 000c 0001 00"}, true, false},
		{"WithoutOffset", []string{"0202 000b 000c 00"}, true, false},
		{"OffsetToTheEnd", []string{"0202 000b 000c 0002 0000"}, true, true},
		{"OffsetPastTheEnd", []string{"0202 000b 000c 0003 0000"}, true, false},
		{"OffsetFarPastTheEnd", []string{"0202 000b 000c ffff 0000"}, true, false},
	} {
		m := V2(bytesOf(t, c.bytes...))
		if m.Valid() != c.valid {
			t.Errorf("%s: Valid() = %t", c.name, m.Valid())
			continue
		}
		if c.valid {
			if _, ok := m.HeaderLen(); ok != c.headers {
				t.Errorf("%s: HeaderLen() ok = %t", c.name, ok)
			}
		}
	}
}

func TestV2EncodeAsTheKernel(t *testing.T) {
	b := bytes.Repeat([]byte{0xee}, 12)
	EncodeV2(b, 0x16, 0x2c)
	if want := bytesOf(t, "0002 0016 002c", "eeeeeeeeeeee"); !bytes.Equal(b, want) {
		t.Errorf("%x, want %x", b, want)
	}
	EncodeV2Sequenced(b, 0x16, 0x2c, 0xffff)
	if want := bytesOf(t, "0802 0016 002c ffff 0000", "eeee"); !bytes.Equal(b, want) {
		t.Errorf("%x, want %x", b, want)
	}
}

func TestTrimPPP(t *testing.T) {
	for _, c := range [][2]string{
		{"ff03 c021 01", "c021 01"},
		{"c021 01", "c021 01"},
		{"21 45", "21 45"}, // protocol of one byte
		{"ff", "ff"},
		{"ff03", ""},
		{"ff03 ff03 21", "ff03 21"}, // once
	} {
		if got, want := TrimPPP(bytesOf(t, c[0])), bytesOf(t, c[1]); !bytes.Equal(got, want) {
			t.Errorf("TrimPPP(%s) = %x, want %s", c[0], got, c[1])
		}
	}
}

func TestPPPoERFC2516Section4(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []string
		valid bool
	}{
		{"Data", []string{"11 00 04d2 0004", "c0210102"}, true},
		{"Padded", []string{"11 00 04d2 0002", "c021 00000000"}, true},
		{"CutOff", []string{"11 00 04d2 0005", "c0210102"}, false},
		{"Version2", []string{"21 00 04d2 0002", "c021"}, false},
		{"Type2", []string{"12 00 04d2 0002", "c021"}, false},
		{"PADT", []string{"11 a7 04d2 0000"}, false},
		{"Header", []string{"11 00 04d2 0000"}, true},
		{"Short", []string{"11 00 04d2 00"}, false},
	} {
		p := PPPoE(bytesOf(t, c.bytes...))
		if p.Valid() != c.valid || p.SessionID() != 1234 {
			t.Errorf("%s: valid %t, session %d", c.name, p.Valid(), p.SessionID())
		}
	}
	b := make(PPPoE, PPPoELen)
	b.Encode(1234, 1494)
	if want := bytesOf(t, "11 00 04d2 05d6"); !bytes.Equal(b, want) {
		t.Errorf("Encode: %x, want %x", []byte(b), want)
	}
}

// What a view says must lie within the message, and be what the bytes say one by one.
func FuzzV2(f *testing.F) {
	f.Add(bytesOf(f, "0002 000b 000c ff03 c021"))
	f.Add(bytesOf(f, "4b02 0014 000b 000c 0001 0002 0001 ee ff03"))
	f.Add(bytesOf(f, "0202 000b 000c ffff 0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := V2(b)
		if !m.Valid() {
			if len(b) >= 8 {
				t.Fatalf("%x: not valid", b)
			}
			return
		}
		rest := b[2:]
		word := func() uint32 { // rest is nil once it was too short
			if len(rest) < 2 {
				rest = nil
				return 0
			}
			w := uint32(rest[0])<<8 | uint32(rest[1])
			rest = rest[2:]
			return w
		}
		if b[0]&0x40 != 0 {
			word()
		}
		ids := word()<<16 | word()
		ns := uint32(0)
		if b[0]&0x08 != 0 {
			ns = word()
			word()
		}
		if b[0]&0x02 != 0 {
			if pad := int(word()); rest != nil && pad <= len(rest) {
				rest = rest[pad:]
			} else {
				rest = nil
			}
		}
		if m.IDs() != ids {
			t.Fatalf("%x: ids %#x, want %#x", b, m.IDs(), ids)
		}
		n, ok := m.HeaderLen()
		if ok != (rest != nil) || ok && n != len(b)-len(rest) {
			t.Fatalf("%x: header of %d bytes, %t; %d left", b, n, ok, len(rest))
		}
		if got, sequenced := uint16(0), false; ok {
			if got, sequenced = m.Ns(); got != uint16(ns) || sequenced != (b[0]&0x08 != 0) {
				t.Fatalf("%x: ns %d, want %d", b, got, ns)
			}
		}
		TrimPPP(b[min(n, len(b)):])
		PPPoE(b).Valid()
	})
}
