package importer

import "strings"

// command is one simple command of a shell script, and the line that it begins in.
type command struct {
	line  int
	words []string // without redirections and assignments
	whole []string
}

// shell splits a script into simple commands: quotes, backslashes at line ends, comments, variables
// that the script itself sets to plain values, redirections and the operators between commands are
// understood, nothing more. A variable that it does not know stays in the word.
func shell(text string) []command {
	p := shellReader{text: text, line: 1, vars: map[string]string{}}
	var list []command
	for {
		c, more := p.command()
		for len(c.words) > 0 { // assignments before a command
			name, value, ok := strings.Cut(c.words[0], "=")
			if !ok || !isVariable(name) {
				break
			}
			p.vars[name] = value
			c.words = c.words[1:]
		}
		if len(c.words) > 0 {
			list = append(list, c)
		}
		if !more {
			return list
		}
	}
}

type shellReader struct {
	text string
	line int
	vars map[string]string
}

// command reads up to the end of a command; more tells that there may be another.
func (p *shellReader) command() (c command, more bool) {
	c.line = p.line
	for {
		p.skip()
		switch {
		case p.text == "":
			return p.redirected(c), false
		case strings.IndexByte("\n;&|(){}", p.text[0]) >= 0:
			if p.text[0] == '\n' {
				p.line++
			}
			p.text = p.text[1:]
			return p.redirected(c), true
		}
		if len(c.words) == 0 {
			c.line = p.line
		}
		c.words = append(c.words, p.word())
	}
}

// skip passes blanks, line ends behind a backslash, and a comment.
func (p *shellReader) skip() {
	for {
		switch {
		case strings.HasPrefix(p.text, "\\\n"):
			p.line++
			p.text = p.text[2:]
		case strings.HasPrefix(p.text, "\\\r\n"):
			p.line++
			p.text = p.text[3:]
		case p.text != "" && strings.IndexByte(" \t\r", p.text[0]) >= 0:
			p.text = p.text[1:]
		case strings.HasPrefix(p.text, "#"):
			end := strings.IndexByte(p.text, '\n')
			if end < 0 {
				end = len(p.text)
			}
			p.text = p.text[end:]
		default:
			return
		}
	}
}

func (p *shellReader) word() string {
	var b strings.Builder
	for p.text != "" {
		c := p.text[0]
		switch {
		case strings.IndexByte(" \t\r\n;|()", c) >= 0, c == '&' && !strings.HasSuffix(b.String(), ">"):
			return b.String()
		case c == '\'' || c == '"':
			inside, rest, _ := strings.Cut(p.text[1:], string(c))
			p.line += strings.Count(inside, "\n")
			p.text = rest
			if c == '"' {
				inside = p.expand(inside)
			}
			b.WriteString(inside)
		case c == '\\':
			if len(p.text) > 1 && p.text[1] != '\n' {
				b.WriteByte(p.text[1])
			} else {
				p.line++
			}
			p.text = p.text[min(2, len(p.text)):]
		case c == '$':
			n := variableLen(p.text)
			b.WriteString(p.expand(p.text[:n]))
			p.text = p.text[n:]
		default:
			b.WriteByte(c)
			p.text = p.text[1:]
		}
	}
	return b.String()
}

// variableLen is the length of $NAME or ${NAME} at the beginning of s, or 1.
func variableLen(s string) int {
	if strings.HasPrefix(s, "${") {
		if end := strings.IndexByte(s, '}'); end > 0 {
			return end + 1
		}
		return 1
	}
	n := 1
	for n < len(s) && isVariable(s[1:n+1]) {
		n++
	}
	return n
}

// expand puts in the values of variables that are known.
func (p *shellReader) expand(s string) string {
	var b strings.Builder
	for s != "" {
		if s[0] != '$' {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		n := variableLen(s)
		name := strings.Trim(s[1:n], "{}")
		if v, ok := p.vars[name]; ok {
			b.WriteString(v)
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

func isVariable(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// redirected takes redirections out of a command's words.
func (p *shellReader) redirected(c command) command {
	c.whole = c.words
	var words []string
	for i := 0; i < len(c.words); i++ {
		w := strings.TrimLeft(c.words[i], "0123456789&")
		if !strings.HasPrefix(w, ">") && !strings.HasPrefix(w, "<") {
			words = append(words, c.words[i])
		} else if strings.Trim(w, "<>") == "" {
			i++ // the file's name is a word of its own
		}
	}
	c.words = words
	return c
}
