package l2tp

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// MaxCookieLen is the largest cookie in bytes, RFC 3931 section 4.1.
const MaxCookieLen = 8

// Cookie is a value of 0, 4 or 8 bytes that proves a data message to come from the peer. It is a
// secret: every way of printing it gives only its length; Bytes and Hex are the two that do not.
// The zero value is "no cookie". Cookies compare with ==, though not in constant time.
type Cookie struct {
	b [MaxCookieLen]byte
	n uint8
}

// NewCookie copies b, which is of 0, 4 or 8 bytes.
func NewCookie(b []byte) (Cookie, error) {
	switch len(b) {
	case 0, 4, 8:
	default:
		return Cookie{}, fmt.Errorf("cookie of %d bytes: must be 0, 4 or 8", len(b))
	}
	c := Cookie{n: uint8(len(b))}
	copy(c.b[:], b)
	return c, nil
}

// ParseCookie reads 0, 8 or 16 hexadecimal digits. The error does not repeat the digits.
func ParseCookie(s string) (Cookie, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return Cookie{}, fmt.Errorf("cookie of %d characters: must be 8 or 16 hexadecimal digits", len(s))
	}
	return NewCookie(b)
}

// Len returns the length in bytes.
func (c Cookie) Len() int { return int(c.n) }

// Bytes returns a copy of the secret, in wire order.
func (c Cookie) Bytes() []byte { return append([]byte(nil), c.b[:c.n]...) }

// Hex returns the secret as lower-case hexadecimal digits.
func (c Cookie) Hex() string { return hex.EncodeToString(c.b[:c.n]) }

// String returns the length in words.
func (c Cookie) String() string {
	if c.n == 0 {
		return "none"
	}
	return fmt.Sprintf("%d bytes", c.n)
}

// Format makes every fmt verb print what String does.
func (c Cookie) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue implements slog.LogValuer.
func (c Cookie) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON and TOML; there is no way back.
func (c Cookie) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// IsZero tells whether this is no cookie; it is what omitzero asks.
func (c Cookie) IsZero() bool { return c.n == 0 }
