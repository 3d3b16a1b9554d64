package wat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A node is a list in parentheses, a word, or a string.
type node struct {
	kind nodeKind
	text string // the word, or the bytes of the string
	list []node
	line int
}

type nodeKind int

const (
	wordNode nodeKind = iota
	stringNode
	listNode
)

// head is the word a list begins with, or "".
func (n node) head() string {
	if n.kind == listNode && len(n.list) > 0 && n.list[0].kind == wordNode {
		return n.list[0].text
	}
	return ""
}

// A syntaxError is thrown by panic anywhere below [Compile], which returns it.
type syntaxError struct {
	line int
	text string
}

func (e syntaxError) Error() string { return fmt.Sprintf("wat: line %d: %s", e.line, e.text) }

func fail(line int, format string, args ...any) {
	panic(syntaxError{line, fmt.Sprintf(format, args...)})
}

// A reader turns text into nodes.
type reader struct {
	src  string
	pos  int
	line int
}

func read(src string) []node {
	r := &reader{src: src, line: 1}
	nodes := r.nodes(0)
	if r.pos < len(r.src) {
		fail(r.line, "unexpected )")
	}
	return nodes
}

// nodes reads up to the closing parenthesis of the list that began at line open, or to the end of the text when open is 0.
func (r *reader) nodes(open int) []node {
	var nodes []node
	for {
		r.space()
		switch line := r.line; {
		case r.pos == len(r.src):
			if open > 0 {
				fail(open, "( without )")
			}
			return nodes
		case r.src[r.pos] == ')':
			return nodes
		case r.src[r.pos] == '(':
			r.pos++
			list := r.nodes(line)
			r.pos++
			nodes = append(nodes, node{kind: listNode, list: list, line: line})
		case r.src[r.pos] == '"':
			nodes = append(nodes, node{kind: stringNode, text: r.str(), line: line})
		default:
			end := strings.IndexAny(r.src[r.pos:], " \t\r\n()\";")
			if end < 0 {
				end = len(r.src) - r.pos
			}
			if end == 0 {
				fail(line, "unexpected %q", r.src[r.pos])
			}
			nodes = append(nodes, node{text: r.src[r.pos : r.pos+end], line: line})
			r.pos += end
		}
	}
}

// space skips blanks and both kinds of comment.
func (r *reader) space() {
	for depth := 0; r.pos < len(r.src); {
		rest := r.src[r.pos:]
		switch {
		case strings.HasPrefix(rest, "(;"):
			depth++
			r.pos += 2
		case depth > 0 && strings.HasPrefix(rest, ";)"):
			depth--
			r.pos += 2
		case depth == 0 && strings.HasPrefix(rest, ";;"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			r.pos += end
		case depth > 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			if rest[0] == '\n' {
				r.line++
			}
			r.pos++
		default:
			return
		}
	}
}

// str reads a string literal; its escapes may spell any byte.
func (r *reader) str() string {
	var out []byte
	for r.pos++; r.pos < len(r.src); {
		c := r.src[r.pos]
		r.pos++
		switch c {
		case '"':
			return string(out)
		case '\n':
			fail(r.line, "string without end")
		case '\\':
			out = r.escape(out)
		default:
			out = append(out, c)
		}
	}
	fail(r.line, "string without end")
	return ""
}

func (r *reader) escape(out []byte) []byte {
	rest := r.src[r.pos:]
	if strings.HasPrefix(rest, "u{") {
		if hex, _, ok := strings.Cut(rest[2:], "}"); ok {
			if code, err := strconv.ParseUint(hex, 16, 32); err == nil {
				r.pos += len(hex) + 3
				return utf8.AppendRune(out, rune(code))
			}
		}
	}
	if rest != "" {
		if i := strings.IndexByte(`tnr"'\`, rest[0]); i >= 0 {
			r.pos++
			return append(out, "\t\n\r\"'\\"[i])
		}
	}
	if len(rest) >= 2 {
		if b, err := strconv.ParseUint(rest[:2], 16, 8); err == nil {
			r.pos += 2
			return append(out, byte(b))
		}
	}
	fail(r.line, "unknown escape in string")
	return nil
}

// A cursor walks the nodes of one list. Its methods throw when the list does not hold what is asked for.
type cursor struct {
	nodes []node
	line  int // of the list
}

// enter returns a cursor behind the head of a list.
func enter(n node) *cursor {
	if n.kind != listNode || len(n.list) == 0 {
		fail(n.line, "expected a list in parentheses")
	}
	return &cursor{nodes: n.list[1:], line: n.line}
}

func (c *cursor) more() bool { return len(c.nodes) > 0 }

func (c *cursor) next(want string) node {
	if !c.more() {
		fail(c.line, "expected %s", want)
	}
	n := c.nodes[0]
	c.nodes = c.nodes[1:]
	c.line = n.line
	return n
}

func (c *cursor) word(want string) node {
	n := c.next(want)
	if n.kind != wordNode {
		fail(n.line, "expected %s", want)
	}
	return n
}

func (c *cursor) str(want string) string {
	n := c.next(want)
	if n.kind != stringNode {
		fail(n.line, "expected %s", want)
	}
	return n.text
}

// peekWord returns the next word without taking it, or "" when something else follows.
func (c *cursor) peekWord() string {
	if c.more() && c.nodes[0].kind == wordNode {
		return c.nodes[0].text
	}
	return ""
}

// peekIndex says whether a number or a name follows.
func (c *cursor) peekIndex() bool {
	w := c.peekWord()
	return w != "" && (w[0] == '$' || w[0] >= '0' && w[0] <= '9')
}

// peekHead returns the head of the list that follows, or "".
func (c *cursor) peekHead() string {
	if !c.more() {
		return ""
	}
	return c.nodes[0].head()
}

// name takes the name that follows, if one does.
func (c *cursor) name() string {
	if w := c.peekWord(); strings.HasPrefix(w, "$") {
		return c.next("name").text
	}
	return ""
}

// strings takes the strings that follow and joins them.
func (c *cursor) strings() string {
	var all strings.Builder
	for c.more() && c.nodes[0].kind == stringNode {
		all.WriteString(c.next("string").text)
	}
	return all.String()
}

func (c *cursor) end() {
	if c.more() {
		n := c.nodes[0]
		if n.kind == listNode {
			fail(n.line, "unexpected (%s", n.head())
		}
		fail(n.line, "unexpected %s", n.text)
	}
}
