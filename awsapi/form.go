package awsapi

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// formNode is one segment of a parameter's dotted name.
type formNode struct {
	key               string
	value             string
	first, last, next int32 // children, siblings; 0 is none
	children          int32
}

// form is the tree of all parameters. Node 0 is the root.
type form struct {
	nodes  []formNode
	lookup map[formEdge]int32 // only for nodes with many children
	budget *budget
	path   []string // names from the root to the node at hand, for messages
	// unknown collects parameters that the plan does not have.
	unknown []string
}

type formEdge struct {
	parent int32
	key    string
}

// wide is the number of children from which a node is looked up by map: hostile bodies must not cost O(n²).
const wide = 16

func (f *form) find(parent int32, key string) int32 {
	n := &f.nodes[parent]
	if n.last != 0 && f.nodes[n.last].key == key {
		return n.last
	}
	if n.children > wide {
		return f.lookup[formEdge{parent, key}]
	}
	for c := n.first; c != 0; c = f.nodes[c].next {
		if f.nodes[c].key == key {
			return c
		}
	}
	return 0
}

func (f *form) child(parent int32, key string) int32 {
	if c := f.find(parent, key); c != 0 {
		return c
	}
	c := int32(len(f.nodes))
	f.nodes = append(f.nodes, formNode{key: key})
	n := &f.nodes[parent]
	if n.last != 0 {
		f.nodes[n.last].next = c
	} else {
		n.first = c
	}
	n.last = c
	n.children++
	switch {
	case n.children == wide+1:
		if f.lookup == nil {
			f.lookup = map[formEdge]int32{}
		}
		for i := n.first; i != 0; i = f.nodes[i].next {
			f.lookup[formEdge{parent, f.nodes[i].key}] = i
		}
	case n.children > wide:
		f.lookup[formEdge{parent, key}] = c
	}
	return c
}

// AWS: "Common Errors" of the query services, MalformedQueryString.
func unescapeForm(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	u, err := url.QueryUnescape(s)
	if err != nil {
		return "", &Error{Code: "MalformedQueryString", Message: "The query string contains a syntax error.", Status: 400}
	}
	return u, nil
}

func (f *form) parse(body string) error {
	for count := 0; body != ""; {
		var pair string
		pair, body, _ = strings.Cut(body, "&")
		if pair == "" {
			continue
		}
		if count++; count > maxParameters {
			return malformed("the request has more than %d parameters", maxParameters)
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := unescapeForm(name)
		if err != nil {
			return err
		}
		if value, err = unescapeForm(value); err != nil {
			return err
		}
		node, depth := int32(0), 0
		for name != "" {
			var segment string
			segment, name, _ = strings.Cut(name, ".")
			if depth++; depth > maxDepth {
				return malformed("a parameter's name has more than %d parts", maxDepth)
			}
			node = f.child(node, segment)
		}
		f.nodes[node].value = value
	}
	return nil
}

// FormValues reads single parameters of a form or query string without decoding the rest: Action, Version.
func FormValues(body string, names ...string) (map[string]string, error) {
	values := map[string]string{}
	for count := 0; body != "" && len(values) < len(names); count++ {
		if count > maxParameters {
			return nil, malformed("the request has more than %d parameters", maxParameters)
		}
		var pair string
		pair, body, _ = strings.Cut(body, "&")
		name, value, _ := strings.Cut(pair, "=")
		if !slices.Contains(names, name) {
			continue
		}
		value, err := unescapeForm(value)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

// decodeForm reads an awsQuery or ec2Query form. A nil plan only reports parameters.
func decodeForm(p *plan, body string, v reflect.Value) ([]string, error) {
	f := &form{nodes: make([]formNode, 1, 8+2*min(strings.Count(body, "&"), maxParameters)), budget: newBudget()}
	if err := f.parse(body); err != nil {
		return nil, err
	}
	if p == nil {
		p = &plan{kind: kindStruct}
	}
	err := f.structure(p, 0, v)
	return f.unknown, err
}

func (f *form) structure(p *plan, node int32, v reflect.Value) error {
	for c := f.nodes[node].first; c != 0; c = f.nodes[c].next {
		key := f.nodes[c].key
		pf, ok := p.lookup(key)
		if !ok {
			if len(f.unknown) < maxUnknown && (len(f.path) > 0 || (key != "Action" && key != "Version")) {
				f.unknown = append(f.unknown, f.where(key))
			}
			continue
		}
		if err := f.under(key, pf.plan, pf.flat, c, v.Field(pf.field)); err != nil {
			return err
		}
	}
	return nil
}

// where is the dotted name of a parameter below the node at hand.
func (f *form) where(key string) string {
	if len(f.path) == 0 {
		return key
	}
	return strings.Join(f.path, ".") + "." + key
}

// under reads a value one level down.
func (f *form) under(key string, p *plan, flat bool, node int32, v reflect.Value) error {
	f.path = append(f.path, key)
	err := f.value(p, flat, node, v)
	f.path = f.path[:len(f.path)-1]
	return err
}

type formIndex struct {
	index int64
	node  int32
}

// elements lists numbered children in the order of their numbers. Holes are closed: only the order counts.
func (f *form) elements(node int32) []formIndex {
	list := make([]formIndex, 0, f.nodes[node].children)
	sorted := true
	for c := f.nodes[node].first; c != 0; c = f.nodes[c].next {
		i, err := strconv.ParseInt(f.nodes[c].key, 10, 64)
		if err != nil || i < 0 {
			continue
		}
		sorted = sorted && (len(list) == 0 || list[len(list)-1].index <= i)
		list = append(list, formIndex{i, c})
	}
	if !sorted {
		slices.SortStableFunc(list, func(a, b formIndex) int {
			switch {
			case a.index < b.index:
				return -1
			case a.index > b.index:
				return 1
			}
			return 0
		})
	}
	return list
}

// members finds the node whose children are numbered: the list itself, or the element name below it.
func (f *form) members(p *plan, flat bool, node int32) int32 {
	if !flat {
		if c := f.find(node, p.name); c != 0 {
			return c
		}
	}
	return node
}

func (f *form) value(p *plan, flat bool, node int32, v reflect.Value) error {
	switch p.kind {
	case kindStruct:
		return f.structure(p, node, p.target(v))
	case kindList:
		list := f.elements(f.members(p, flat, node))
		emptyList(p, v, min(len(list), f.budget.elements+1))
		for _, e := range list {
			elem, err := appendElement(v, f.budget)
			if err != nil {
				return err
			}
			if err := f.under(f.nodes[e.node].key, p.elem, false, e.node, elem); err != nil {
				return err
			}
		}
		return nil
	case kindMap:
		return f.mapValue(p, flat, node, v)
	case kindUnion:
		for c := f.nodes[node].first; c != 0; c = f.nodes[c].next {
			pf, ok := p.lookup(f.nodes[c].key)
			if !ok {
				return malformed("%s has no member %s", strings.Join(f.path, "."), shorten(f.nodes[c].key))
			}
			u, err := p.choose(pf, v)
			if err != nil {
				return at(strings.Join(f.path, "."), err)
			}
			if err := f.under(pf.name, pf.plan, pf.flat, c, u); err != nil {
				return err
			}
		}
		return nil
	case kindBad, kindStream:
		return nil
	}
	if err := parseScalar(p, f.nodes[node].value, p.target(v)); err != nil {
		return at(strings.Join(f.path, "."), err)
	}
	return nil
}

func (f *form) mapValue(p *plan, flat bool, node int32, v reflect.Value) error {
	m := reflect.MakeMap(p.typ)
	for _, e := range f.elements(f.members(p, flat, node)) {
		if err := f.budget.take(); err != nil {
			return err
		}
		key := f.find(e.node, p.key)
		if key == 0 {
			return malformed("%s has no %s", f.where(f.nodes[e.node].key), p.key)
		}
		val := reflect.New(p.typ.Elem()).Elem()
		if c := f.find(e.node, p.value); c != 0 {
			if err := f.under(f.nodes[e.node].key, p.elem, false, c, val); err != nil {
				return err
			}
		}
		m.SetMapIndex(reflect.ValueOf(f.nodes[key].value).Convert(p.typ.Key()), val)
	}
	v.Set(m)
	return nil
}
