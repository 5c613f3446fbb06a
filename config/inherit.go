package config

// defaults is a [defaults.tunnel] or [defaults.session] table: values that objects without the key
// inherit. Only values without an error are here, so that nothing is reported once per object.
type defaults struct {
	draft
	values     []inherited
	given      keySet
	cookieFile string
}

type inherited struct {
	key string
	bit keySet
	v   any
}

func (l *loader) defaultsTable(at place, d decoded) {
	kind := at.path[1]
	def := l.defaults[kind]
	if def.exists {
		l.twice(at, def.place, "the table")
		return
	}
	def.draft = draft{place: at, exists: true}
	set := func(r *reader, key string, v any) { new(Session).set(r, key, v) }
	if kind == "tunnel" {
		set = func(r *reader, key string, v any) { new(tunnelDraft).set(r, key, v) }
	}
	l.keys(at, kind, d, "", func(r *reader, key string, v any) {
		before := len(l.errs)
		set(r, key, v)
		if len(l.errs) > before {
			return
		}
		bit := tables[kind].bit(key)
		def.given |= bit
		if key == "cookie_file" {
			def.cookieFile = v.(string)
			return
		}
		if !tables[kind].keys[tables[kind].index[key]].NoEffect {
			def.values = append(def.values, inherited{key, bit, v})
		}
	})
}

// builtins are the defaults of the table in defaults.go, as if they stood in a file.
func builtins(kind string) []inherited {
	var list []inherited
	t := tables[kind]
	for _, k := range t.keys {
		if k.Default != nil {
			list = append(list, inherited{k.Name, t.bit(k.Name), k.Default})
		}
	}
	return list
}

// inherit gives an object the values that its own table does not have.
func (def *defaults) inherit(own keySet, builtin []inherited, r *reader, set func(r *reader, key string, v any)) {
	for _, b := range builtin {
		if !(own | def.given).has(b.bit) {
			set(r, b.key, b.v)
		}
	}
	for _, d := range def.values {
		if !own.has(d.bit) {
			set(r, d.key, d.v)
		}
	}
}

// problems reports what is wrong with an object whose keys are all read: in its own table, or in
// the defaults it has the value from.
type problems struct {
	l    *loader
	kind string
	at   *draft
}

func (p problems) place(key string) place {
	bit := tables[p.kind].bit(key)
	if def := p.l.defaults[p.kind]; def != nil && !p.at.own.has(bit) && def.given.has(bit) {
		return def.place
	}
	return p.at.place
}

// given tells whether the object or its defaults have the key, rightly or wrongly.
func (p problems) given(key string) bool {
	bit := tables[p.kind].bit(key)
	def := p.l.defaults[p.kind]
	return p.at.own.has(bit) || def != nil && def.given.has(bit)
}

func (p problems) errorf(key, format string, args ...any) {
	p.l.errorf(p.place(key), p.spelled(key), format, args...)
}

func (p problems) warnf(key, format string, args ...any) {
	p.l.warnf(p.place(key), p.spelled(key), format, args...)
}

// spelled is the key as the file has it, which may be by its alias.
func (p problems) spelled(key string) string {
	t := tables[p.kind]
	alias := t.keys[t.index[key]].Alias
	if alias == "" {
		return key
	}
	at := p.place(key)
	if head := at.line(""); at.line(key) == head && at.line(alias) != head {
		return alias
	}
	return key
}

// missing reports the mandatory keys that an object does not have.
func (p problems) missing(given keySet) {
	for _, k := range p.lacks(given) {
		p.l.errorf(p.at.place, k.Name, "is missing; add %s = %s (%s)", k.Name, k.Example, k.Doc)
	}
}

func (p problems) lacks(given keySet) (list []Key) {
	for _, k := range tables[p.kind].keys {
		if k.Must && !given.has(tables[p.kind].bit(k.Name)) {
			list = append(list, k)
		}
	}
	return list
}
