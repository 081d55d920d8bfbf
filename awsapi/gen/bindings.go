package main

import (
	"go/ast"
	"strings"

	"miniaws/awsapi/wire"
)

// operations reads what belongs to whole operations: input and output documents, HTTP bindings, payloads,
// result wrappers and errors.
func (d *documents) operations() {
	for _, decl := range d.src.files["serializers.go"].Decls {
		if fd, ok := decl.(*ast.FuncDecl); ok {
			if op, ok := handlerOf(fd, "HandleSerialize", "serializeOp"); ok {
				d.requestHandler(d.ops[op], fd)
			}
		}
	}
	for _, decl := range d.src.files["deserializers.go"].Decls {
		if fd, ok := decl.(*ast.FuncDecl); ok {
			if op, ok := handlerOf(fd, "HandleDeserialize", "deserializeOp"); ok {
				d.responseHandler(d.ops[op], fd)
			}
		}
	}
	// Bindings join the document's members in one shape, so handlers come first.
	for _, file := range []string{"serializers.go", "deserializers.go"} {
		for _, decl := range d.src.files[file].Decls {
			fd, ok := decl.(*ast.FuncDecl)
			if !ok || fd.Recv != nil {
				continue
			}
			name := fd.Name.Name
			switch {
			case strings.Contains(name, "_serializeOpHttpBindings"):
				d.bindings(strings.TrimSuffix(after(name, "_serializeOpHttpBindings"), "Input"), fd, true)
			case strings.Contains(name, "_deserializeOpHttpBindings"):
				d.bindings(strings.TrimSuffix(after(name, "_deserializeOpHttpBindings"), "Output"), fd, false)
			case strings.Contains(name, "_deserializeOpError"):
				d.opError(after(name, "_deserializeOpError"), fd)
			}
		}
	}
}

func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}

// handlerOf tells whether fd is the generated middleware of an operation, and which.
func handlerOf(fd *ast.FuncDecl, method, infix string) (string, bool) {
	if fd.Recv == nil || fd.Name.Name != method {
		return "", false
	}
	star, ok := fd.Recv.List[0].Type.(*ast.StarExpr)
	if !ok {
		return "", false
	}
	return after(star.X.(*ast.Ident).Name, "_"+infix), true
}

func (d *documents) requestHandler(op *wire.Op, fd *ast.FuncDecl) {
	r := read(fd.Body, "input")
	if r.uri != "" {
		op.Method, op.URI = r.method, r.uri
	}
	target := r.target()
	switch {
	case strings.HasPrefix(target, "Op"):
		if d.writers[target] != nil {
			op.In = d.requests.ref(target)
			return
		}
	case r.field != "":
		// input.Tagging or input.Body is the payload.
		op.In = d.requests.ref("Op" + op.Name + "Input")
		m := wire.Member{Field: r.field, Name: first(r.key(), r.field), Location: wire.Payload, Target: -1}
		if target != "" {
			m.Target = d.requests.ref(target)
			if r.attr != "" {
				d.attribute(m.Target, r.attr)
			}
		}
		d.requests.shapes[op.In].Members = []wire.Member{m}
	}
}

func (d *documents) responseHandler(op *wire.Op, fd *ast.FuncDecl) {
	r := read(fd.Body, "output")
	op.Wrapper = r.wrapper
	target := r.target()
	switch {
	case target == "":
	case strings.HasPrefix(target, "Op") && rawPayload(d.readers[target]):
		body := read(d.readers[target].Body, "v")
		d.payload(op, body.field, -1)
	case strings.HasPrefix(target, "Op"):
		op.Out = d.responses.ref(target)
	case r.field != "" && op.URI != "":
		d.payload(op, r.field, d.responses.ref(target))
	default:
		op.Out = d.responses.ref(target)
	}
}

func (d *documents) payload(op *wire.Op, field string, target int32) {
	op.Out = d.responses.ref("Op" + op.Name + "Output")
	name := field
	if target >= 0 {
		name = d.responses.names[target]
	}
	sh := &d.responses.shapes[op.Out]
	// A document function may exist that nothing calls: the payload is the only member of the body.
	sh.Members = []wire.Member{{Field: field, Name: name, Location: wire.Payload, Target: target}}
}

// rawPayload tells functions of the form func(v *XOutput, body io.ReadCloser) error from documents.
func rawPayload(fd *ast.FuncDecl) bool {
	if fd == nil {
		return false
	}
	star, ok := fd.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	_, ok = star.X.(*ast.Ident)
	return ok
}

func (d *documents) bindings(name string, fd *ast.FuncDecl, request bool) {
	op := d.ops[name]
	if op == nil {
		return
	}
	table, index, key := d.responses, &op.Out, "Op"+name+"Output"
	if request {
		table, index, key = d.requests, &op.In, "Op"+name+"Input"
	}
	for _, st := range fd.Body.List {
		r := read(st, "v")
		if r.field == "" || (r.bound == "" && r.loc != wire.StatusCode) || r.loc == wire.Body {
			continue
		}
		if *index < 0 {
			*index = table.ref(key)
		}
		sh := &table.shapes[*index]
		sh.Members = append(sh.Members, wire.Member{Field: r.field, Name: first(r.bound, r.field), Location: r.loc, Flags: r.flags, Target: -1})
	}
}

func (d *documents) opError(op string, fd *ast.FuncDecl) {
	ast.Inspect(fd.Body, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			if id, ok := c.Fun.(*ast.Ident); ok {
				if name := after(id.Name, "_deserializeError"); name != "" {
					d.opErrors[op] = append(d.opErrors[op], name)
				}
			}
		}
		return true
	})
}
