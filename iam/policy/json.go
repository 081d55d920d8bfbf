package policy

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Bounds of what is read at all. The largest document that any operation takes is 131,072 characters; one of AWS's own
// policies has more.
// AWS: "CreatePolicy" in the IAM API reference, PolicyDocument.
const (
	maxText  = 192 << 10
	maxDepth = 10
)

// nodeKind is the JSON type of a node.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	listNode
	objectNode
)

// node is a JSON value that remembers where it stands; encoding/json alone forgets it, and doubled members too.
type node struct {
	kind nodeKind
	// text of a string, a number as written, or "true" and "false".
	text string
	// names of an object's members, as written; items are their values, or a list's.
	names []string
	items []*node
	// from and to are offsets behind the first and the last character: simulations report them so.
	from, to int
}

// member answers the value of a member, or nil.
func (n *node) member(name string) *node {
	for i, have := range n.names {
		if have == name {
			return n.items[i]
		}
	}
	return nil
}

// readTree reads one JSON value and nothing behind it; false where it is not well formed.
func readTree(text string) (*node, bool) {
	if len(text) > maxText {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	root, ok := readNode(decoder, 0)
	if !ok {
		return nil, false
	}
	if _, err := decoder.Token(); err == nil {
		return nil, false
	}
	// What is left must be white space: Token answers io.EOF then, and a syntax error otherwise.
	for _, c := range []byte(text[root.to:]) {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return nil, false
		}
	}
	return root, true
}

func readNode(decoder *json.Decoder, depth int) (*node, bool) {
	token, err := decoder.Token()
	if err != nil || depth > maxDepth {
		return nil, false
	}
	n := &node{from: int(decoder.InputOffset()), to: int(decoder.InputOffset())}
	switch value := token.(type) {
	case nil:
		n.kind = nullNode
	case bool:
		n.kind, n.text = boolNode, strconv.FormatBool(value)
	case json.Number:
		n.kind, n.text = numberNode, value.String()
	case string:
		n.kind, n.text = stringNode, value
	case json.Delim:
		return n, n.readItems(decoder, value, depth)
	}
	return n, true
}

// readItems reads what an opening brace or bracket begins. A member that is there twice is an error: which of the two
// is meant, nobody can know.
func (n *node) readItems(decoder *json.Decoder, open json.Delim, depth int) bool {
	n.kind = listNode
	if open == '{' {
		n.kind = objectNode
	}
	for decoder.More() {
		if n.kind == objectNode {
			token, err := decoder.Token()
			if err != nil {
				return false
			}
			name := token.(string)
			if n.member(name) != nil {
				return false
			}
			n.names = append(n.names, name)
		}
		item, ok := readNode(decoder, depth+1)
		if !ok {
			return false
		}
		n.items = append(n.items, item)
	}
	_, err := decoder.Token()
	n.to = int(decoder.InputOffset())
	return err == nil
}

// scalars answers a string, number or boolean, or a list of them, as texts.
func (n *node) scalars() ([]string, bool) {
	if n.kind != listNode {
		return []string{n.text}, n.kind == stringNode || n.kind == numberNode || n.kind == boolNode
	}
	all := make([]string, 0, len(n.items))
	for _, item := range n.items {
		if item.kind != stringNode && item.kind != numberNode && item.kind != boolNode {
			return nil, false
		}
		all = append(all, item.text)
	}
	return all, true
}

// strings answers a string or a list of strings.
func (n *node) strings() ([]string, bool) {
	if n.kind == stringNode {
		return []string{n.text}, true
	}
	if n.kind != listNode {
		return nil, false
	}
	for _, item := range n.items {
		if item.kind != stringNode {
			return nil, false
		}
	}
	return n.scalars()
}

// hasControl tells whether a decoded text has control characters: no policy means them, and patterns use two of them.
func hasControl(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return true
		}
	}
	return false
}

// Position is a place in a document, both counted from 1.
type Position struct{ Line, Column int }

func positionAt(text string, offset int) Position {
	before := []byte(text[:offset])
	line := bytes.Count(before, []byte{'\n'})
	return Position{Line: line + 1, Column: offset - bytes.LastIndexByte(before, '\n')}
}

// Size counts the characters of a document as quotas do: without white space.
// AWS: "IAM and AWS STS quotas", "IAM doesn't count white space when calculating the size of a policy".
func Size(text string) int {
	size := 0
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			size++
		}
	}
	return size
}
