package config

import (
	"path/filepath"
	"slices"
	"strings"

	"xwire/l2tp"
)

// cookieFile is one file of cookies, kept until the end of the load.
type cookieFile struct {
	src     *source
	example string // of what it holds, for messages
	bad     bool   // it could not be read: its sessions are not asked for their entries
	entries map[string]*cookieEntry
}

// cookieEntry is a [tunnel.NAME.session.NAME] table of a cookie file.
type cookieEntry struct {
	place
	tx      l2tp.Cookie
	rx      [2]l2tp.Cookie
	rxCount uint8
	used    bool // by a session
}

func (e *cookieEntry) set(r *reader, key string, v any) {
	switch key {
	case "tx_cookie", "cookie":
		e.tx, _ = r.cookie(key, v)
	case "rx_cookie", "peer_cookie":
		e.rx, e.rxCount = r.rxCookies(key, v)
	default:
		r.errorf(key, "does not belong into a cookie file; tx_cookie and rx_cookie do")
	}
}

// useCookieFile gives a session its cookies from a file that the key at a place names.
func (l *loader) useCookieFile(at place, t *tunnelDraft, i int, name string) {
	s, d := &t.Sessions[i], &t.sessions[i]
	tab := tables["session"]
	twice := false
	for _, k := range []string{"tx_cookie", "rx_cookie"} {
		if d.own.has(tab.bit(k)) {
			problems{l, "session", d}.errorf(k, "is given twice, here and by cookie_file; leave one out")
			twice = true
		}
	}
	if twice {
		return
	}
	// A cookie of [defaults.session] does not take the place of the file's.
	d.own |= tab.bit("tx_cookie") | tab.bit("rx_cookie") | tab.bit("cookie_file")

	path := filepath.Clean(name)
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(at.src.name), path)
	}
	f := l.cookies[path]
	if f == nil {
		f = l.readCookieFile(at, path, joinPath([]string{"tunnel", t.Name, "session", s.Name}))
		l.cookies[path] = f
	}
	if f.bad {
		return
	}
	e := f.entries[joinPath([]string{"tunnel", t.Name, "session", s.Name})]
	if e == nil {
		l.errorf(d.place, "cookie_file", "%s has no table [%s]; add it, and below it %s", path, joinPath(d.path), cookieLines)
		return
	}
	e.used = true
	s.TxCookie, s.RxCookies, s.RxCookieCount = e.tx, e.rx, e.rxCount
}

// cookieLines are what stands below a header of a cookie file.
const cookieLines = `tx_cookie = "0102030405060708" and rx_cookie = "1112131415161718"`

// readCookieFile reads the file at a path that a key at a place names. session is the path of a table
// that it should have.
func (l *loader) readCookieFile(at place, path, session string) *cookieFile {
	f := &cookieFile{entries: map[string]*cookieEntry{}, bad: true, example: "[" + session + "], and below it " + cookieLines}
	text, mode, err := l.files.read(path)
	switch {
	case err != nil:
		l.errorf(at, "cookie_file", "%s %s", path, readMessage(err))
		return f
	case mode.Perm()&0o077 != 0:
		l.errorf(at, "cookie_file", "%s has mode %04o, others can read the secrets; run chmod 600 %s", path, mode.Perm(), path)
		return f
	}
	before := len(l.errs)
	f.src = &source{name: path, text: text}
	l.order[path] = len(l.order)
	l.cfg.Files = append(l.cfg.Files, path)
	f.src.sections = split(text, 1)
	for i := 0; i < len(f.src.sections); i += batch {
		for j, d := range decodeBatch(text, f.src.sections[i:min(i+batch, len(f.src.sections))]) {
			l.cookieSection(f, i+j, d)
		}
	}
	f.bad = len(l.errs) > before
	return f
}

func (l *loader) cookieSection(f *cookieFile, i int, d decoded) {
	sec := f.src.sections[i]
	at := place{src: f.src, sec: i}
	if sec.head < sec.body {
		path, array, err := headPath(strings.TrimRight(f.src.text[sec.head:sec.body], "\r\n"))
		if err != nil {
			l.addError(f.src.name, sec.line, "", "table header: "+err.msg)
			return
		}
		at.path = path
		if array || len(path) != 4 || path[0] != "tunnel" || path[2] != "session" {
			l.errorf(at, "", "does not belong into a cookie file; write [tunnel.NAME.session.NAME]")
			return
		}
	}
	switch {
	case d.err != nil && at.path == nil: // whoever wrote it may not know of the tables
		l.addError(f.src.name, sec.bodyLine()+d.err.line-1, "", "is no line of a cookie file; write "+f.example)
		return
	case d.err != nil && d.err.key != "" && slices.Contains(cookieKeys, d.err.key):
		l.addError(f.src.name, sec.bodyLine()+d.err.line-1, joinPath(at.path)+"."+d.err.key, d.err.msg)
		return
	case d.err != nil: // the decoder's message may quote what it has found
		l.addError(f.src.name, sec.bodyLine()+d.err.line-1, joinPath(at.path), "cannot be read; write "+cookieLines+", each in a line, with quotes")
		return
	case at.path == nil:
		for key := range d.table {
			l.errorf(at, key, "stands before the first table; write %s", f.example)
		}
		return
	}
	name := joinPath(at.path)
	if first := f.entries[name]; first != nil {
		l.twice(at, first.place, "the session")
		return
	}
	e := &cookieEntry{place: at}
	l.keys(at, "session", d, "", e.set)
	f.entries[name] = e
}

// unusedCookies warns of cookies that no session asks for: a secret kept for nothing, or a
// misspelt name.
func (l *loader) unusedCookies() {
	for _, f := range l.cookies {
		if f.bad {
			continue
		}
		for _, e := range f.entries {
			if !e.used {
				l.warnf(e.place, "", "no session of that name has this cookie_file")
			}
		}
	}
}
