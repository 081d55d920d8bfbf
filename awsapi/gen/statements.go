package main

import (
	"go/ast"
	"strings"

	"miniaws/awsapi/wire"
	"miniaws/backend/lazyregexp"
)

// reading is what a group of generated statements says about one member.
type reading struct {
	field   string   // first field of the receiver that is mentioned
	keys    []string // names given to Key, FlatKey, Local or EqualFold, in order
	flat    bool
	targets []string // shapes whose functions are called
	flags   wire.Flags
	array   string // query: name of a list's elements
	entry   [2]string
	variant string // union variant that is built
	wrapper string
	attr    string // XML attribute that is written
	loc     wire.Location
	bound   string // name in the HTTP binding
	uri     string
	method  string
}

func (r *reading) key() string {
	if len(r.keys) == 0 {
		return ""
	}
	return r.keys[0]
}

func (r *reading) target() string {
	if len(r.targets) == 0 {
		return ""
	}
	return r.targets[0]
}

// documentFunc splits the name of a generated function: de, Op, shape.
var documentFunc = lazyregexp.New(`^aws[A-Za-z0-9]+_(de)?serialize(Op)?Document(\w+)$`)

// shapeOf is the key of a document function's shape. Operations' own documents live beside types of the same name.
func shapeOf(m []string) string { return m[2] + m[3] }

// read scans statements. The receiver is the variable whose fields matter: v, sv, uv or input.
func read(n ast.Node, receiver string) *reading {
	r := &reading{}
	ast.Inspect(n, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.SelectorExpr:
			r.selector(x, receiver)
		case *ast.KeyValueExpr:
			if id, ok := x.Key.(*ast.Ident); ok && id.Name == "Local" && literal(x.Value) != "" {
				r.keys = append(r.keys, literal(x.Value))
			}
		case *ast.CompositeLit:
			if s, ok := x.Type.(*ast.SelectorExpr); ok && strings.Contains(s.Sel.Name, "Member") && r.variant == "" {
				r.variant = s.Sel.Name
			}
		case *ast.AssignStmt:
			r.assign(x)
		case *ast.CallExpr:
			r.call(x)
		}
		return true
	})
	return r
}

func (r *reading) selector(x *ast.SelectorExpr, receiver string) {
	if id, ok := x.X.(*ast.Ident); ok && id.Name == receiver && r.field == "" && x.Sel.IsExported() {
		r.field = x.Sel.Name
	}
	switch x.Sel.Name {
	case "ParseHTTPDate", "FormatHTTPDate":
		r.flags |= wire.HTTPDate
	case "ParseDateTime", "FormatDateTime":
		r.flags |= wire.DateTime
	case "ParseEpochSeconds", "FormatEpochSeconds":
		r.flags |= wire.Epoch
	case "StatusCode":
		if id, ok := x.X.(*ast.Ident); ok && id.Name == "response" {
			r.loc = wire.StatusCode
		}
	}
}

func (r *reading) assign(x *ast.AssignStmt) {
	if len(x.Lhs) != 1 || len(x.Rhs) != 1 {
		return
	}
	switch l := x.Lhs[0].(type) {
	case *ast.Ident:
		if l.Name == "locationName" {
			r.bound = literal(x.Rhs[0])
		}
	case *ast.SelectorExpr:
		if l.Sel.Name == "Method" && r.method == "" {
			r.method = literal(x.Rhs[0])
		}
	}
}

func (r *reading) call(x *ast.CallExpr) {
	first := ""
	if len(x.Args) > 0 {
		first = literal(x.Args[0])
	}
	switch fn := x.Fun.(type) {
	case *ast.Ident:
		if m := documentFunc.FindStringSubmatch(fn.Name); m != nil {
			r.targets = append(r.targets, shapeOf(m))
		}
		// for headerKey … lenPrefix := len("x-amz-meta-")
		if fn.Name == "len" && first != "" {
			r.loc, r.bound = wire.PrefixHeaders, first
		}
	case *ast.SelectorExpr:
		r.encoderCall(fn.Sel.Name, first, x)
	}
}

// encoderCall reads the call of a method of one of the SDK's encoders and decoders.
func (r *reading) encoderCall(name, first string, x *ast.CallExpr) {
	bind := func(loc wire.Location) {
		r.loc = loc
		if first != "" {
			r.bound = first
		}
	}
	switch name {
	case "Key", "FlatKey":
		if first != "" {
			r.keys = append(r.keys, first)
			r.flat = r.flat || name == "FlatKey"
		}
	case "FlattenedElement":
		r.flat = true
	case "Array":
		if first != "" {
			r.array = first
		}
	case "Map":
		if len(x.Args) == 2 {
			r.entry = [2]string{first, literal(x.Args[1])}
		}
	case "GetElement":
		r.wrapper = first
	case "EqualFold":
		if first != "" {
			r.keys = append(r.keys, first)
		}
	case "NewAttribute":
		r.attr = first
	case "SetURI":
		bind(wire.Path)
	case "SetQuery", "AddQuery":
		bind(wire.Query)
	case "SetHeader", "AddHeader":
		if r.loc != wire.PrefixHeaders {
			bind(wire.Header)
		}
	case "Values":
		if first != "" {
			bind(wire.Header)
		}
	case "Headers":
		bind(wire.PrefixHeaders)
	case "SplitURI":
		r.uri = first
	}
}
