package config

import (
	"regexp"
	"slices"
	"strings"

	"xwire/l2tp"
)

// cookie reads one cookie: hex digits, or ql2tpd's array of bytes. No message repeats the value.
func (r *reader) cookie(key string, v any) (l2tp.Cookie, bool) {
	var (
		c   l2tp.Cookie
		err error
	)
	switch v := v.(type) {
	case string:
		c, err = l2tp.ParseCookie(strings.TrimPrefix(v, "0x"))
	case []any:
		b := make([]byte, 0, len(v))
		for _, e := range v {
			n, ok := e.(int64)
			if !ok || n < 0 || n > 255 {
				r.errorf(key, "must be hex digits or an array of bytes (0 to 255) such as [0x01, 0x02, 0x03, 0x04]")
				return c, false
			}
			b = append(b, byte(n))
		}
		c, err = l2tp.NewCookie(b)
	case int64, float64:
		r.errorf(key, `is a number; put its 8 or 16 hex digits in quotes: "0102030405060708"`)
		return c, false
	default:
		r.errorf(key, `must be 8 or 16 hex digits such as "0102030405060708", or an array of 4 or 8 bytes, is %s`, describe(v))
		return c, false
	}
	if err != nil {
		r.errorf(key, "%v; use 4 or 8 bytes, or leave the key out", err)
		return c, false
	}
	return c, true
}

// rxCookies reads one cookie, or an array of up to two.
func (r *reader) rxCookies(key string, v any) (two [2]l2tp.Cookie, n uint8) {
	list, ok := v.([]any)
	if ok && len(list) > 0 {
		if _, bytes := list[0].(int64); bytes {
			ok = false
		}
	}
	if !ok || len(list) == 0 {
		c, ok := r.cookie(key, v)
		if !ok || c.Len() == 0 {
			return two, 0
		}
		return [2]l2tp.Cookie{c}, 1
	}
	if len(list) > 2 {
		r.errorf(key, "names %d cookies; two is the most: the old one and the new one", len(list))
		return two, 0
	}
	for i, e := range list {
		c, ok := r.cookie(key, e)
		if !ok {
			return two, 0
		}
		if c.Len() == 0 {
			r.errorf(key, "holds an empty cookie; leave it out")
			return two, 0
		}
		two[i] = c
	}
	if len(list) == 2 {
		switch {
		case two[0].Len() != two[1].Len():
			r.errorf(key, "holds cookies of %d and %d bytes; both must have one length, the header does not tell which is meant", two[0].Len(), two[1].Len())
			return two, 0
		case two[0] == two[1]:
			r.errorf(key, "holds the same cookie twice; leave one out")
			return two, 0
		}
	}
	return two, uint8(len(list))
}

// CookieKeys are the keys whose values are secrets.
func CookieKeys() []string { return slices.Clone(cookieKeys) }

// cookieKeys are the keys whose values no message may show.
var cookieKeys = []string{"tx_cookie", "rx_cookie", "peer_cookie", "cookie"}

// cookieAssigned finds a cookie's key with the = after it, in an inline table too.
var cookieAssigned = regexp.MustCompile(`(?:^|[\s,{."'])(tx_cookie|rx_cookie|peer_cookie|cookie)["']?[ \t]*=`)

// hideCookie replaces the decoder's message, which may quote the value, where that is a cookie. text
// is what was decoded.
func (e *syntaxError) hideCookie(text string) {
	if strings.HasPrefix(e.msg, "Key '") { // it stands twice
		return
	}
	for range e.line - 1 {
		_, text, _ = strings.Cut(text, "\n")
	}
	line, _, _ := strings.Cut(text, "\n")
	line, _, _ = strings.Cut(line, "#")
	last := e.key[strings.LastIndexByte(e.key, '.')+1:]
	if found := cookieAssigned.FindStringSubmatch(line); found != nil {
		// The decoder's last key may be the one before.
		if last != found[1] {
			e.key = found[1]
		}
	} else if !slices.Contains(cookieKeys, last) {
		return
	}
	e.msg = `cannot be read; write the 8 or 16 hex digits in quotes: "0102030405060708"`
}
