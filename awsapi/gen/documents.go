package main

import (
	"go/ast"
	"sort"
	"strings"

	"miniaws/awsapi/wire"
)

// shapeTable numbers shapes in the order in which they are first mentioned.
type shapeTable struct {
	shapes []wire.Shape
	index  map[string]int32
	names  []string
}

func newShapeTable() *shapeTable { return &shapeTable{index: map[string]int32{}} }

// ref gives the shape's number. A shape that nothing defines stays an empty structure.
func (t *shapeTable) ref(name string) int32 {
	if i, ok := t.index[name]; ok {
		return i
	}
	i := int32(len(t.shapes))
	t.index[name] = i
	t.names = append(t.names, name)
	t.shapes = append(t.shapes, wire.Shape{Target: -1, Members: []wire.Member{}})
	return i
}

// documents is the front end for services whose clients still have serializers.go and deserializers.go.
type documents struct {
	src       *source
	service   *wire.Service
	plain     wire.Flags // the protocol's own timestamp format, not worth a flag
	requests  *shapeTable
	responses *shapeTable
	writers   map[string]*ast.FuncDecl // serialize…Document functions by shape
	readers   map[string]*ast.FuncDecl // deserialize…Document functions by shape
	ops       map[string]*wire.Op
	opErrors  map[string][]string // error types by operation
}

func readDocuments(name string, src *source, timestamps wire.Flags) *wire.Service {
	d := &documents{
		src: src, service: &wire.Service{Name: name}, plain: timestamps, requests: newShapeTable(), responses: newShapeTable(),
		writers: map[string]*ast.FuncDecl{}, readers: map[string]*ast.FuncDecl{}, ops: map[string]*wire.Op{}, opErrors: map[string][]string{},
	}
	for _, op := range src.operations() {
		d.ops[op] = &wire.Op{Name: op, In: -1, Out: -1}
	}
	for _, file := range []string{"serializers.go", "deserializers.go"} {
		for _, decl := range src.files[file].Decls {
			if fd, ok := decl.(*ast.FuncDecl); ok && fd.Recv == nil {
				if m := documentFunc.FindStringSubmatch(fd.Name.Name); m != nil && m[1] == "" {
					d.writers[shapeOf(m)] = fd
				} else if m != nil {
					d.readers[shapeOf(m)] = fd
				}
			}
		}
	}
	for _, key := range sortedKeys(d.writers) {
		d.requestShape(key, d.writers[key])
	}
	for _, key := range sortedKeys(d.readers) {
		if base, ok := strings.CutSuffix(key, "Unwrapped"); ok && d.readers[base] != nil {
			continue
		}
		d.responseShape(key, d.readers[key])
	}
	d.operations()
	for _, op := range sortedKeys(d.ops) {
		d.service.Ops = append(d.service.Ops, *d.ops[op])
	}
	d.errors()
	d.service.Requests, d.service.Responses = d.requests.shapes, d.responses.shapes
	return d.service
}

func (d *documents) member(r *reading, t *shapeTable, funcs map[string]*ast.FuncDecl) wire.Member {
	m := wire.Member{Field: r.field, Name: r.key(), Target: -1, Flags: r.flags &^ d.plain}
	if r.flat {
		m.Flags |= wire.Flat
	}
	if target := r.target(); target != "" {
		if base, ok := strings.CutSuffix(target, "Unwrapped"); ok && funcs[base] != nil {
			target = base
			m.Flags |= wire.Flat
		}
		m.Target = t.ref(target)
	}
	return m
}

func (d *documents) requestShape(key string, fd *ast.FuncDecl) {
	t := d.requests
	i := t.ref(key)
	sh := wire.Shape{Target: -1, Members: []wire.Member{}}
	whole := read(fd.Body, "\x00")
	if whole.target() != "" {
		sh.Target = t.ref(whole.target())
	}
	switch fd.Type.Params.List[0].Type.(type) {
	case *ast.ArrayType:
		sh.Kind, sh.Members = wire.List, nil
		sh.Elem = first(whole.array, whole.key(), "member")
	case *ast.MapType:
		sh.Kind, sh.Members = wire.Map, nil
		sh.Elem, sh.Key, sh.Value = "entry", first(whole.entry[0], "key"), first(whole.entry[1], "value")
		if len(whole.keys) == 2 {
			sh.Key, sh.Value = whole.keys[0], whole.keys[1]
		}
	case *ast.StarExpr:
		sh.Target = -1
		for _, st := range fd.Body.List {
			r := read(st, "v")
			if r.field == "" || r.key() == "" {
				continue
			}
			m := d.member(r, t, d.writers)
			sh.Members = append(sh.Members, m)
			if r.attr != "" && m.Target >= 0 {
				d.attribute(m.Target, r.attr)
			}
		}
	default:
		sh.Kind, sh.Target = wire.Union, -1
		for _, st := range fd.Body.List {
			ts, ok := st.(*ast.TypeSwitchStmt)
			if !ok {
				continue
			}
			for _, c := range ts.Body.List {
				cc := c.(*ast.CaseClause)
				if cc.List == nil {
					continue
				}
				r := read(&ast.BlockStmt{List: cc.Body}, "uv")
				r.field = cc.List[0].(*ast.StarExpr).X.(*ast.SelectorExpr).Sel.Name
				sh.Members = append(sh.Members, d.member(r, t, d.writers))
			}
		}
	}
	sh.Members = append(sh.Members, t.shapes[i].Members...)
	t.shapes[i] = sh
}

// attribute adds an XML attribute to a shape: the writer of the parent writes it, on the child's start tag.
func (d *documents) attribute(shape int32, name string) {
	_, local, _ := strings.Cut(name, ":")
	m := wire.Member{Field: strings.ToUpper(local[:1]) + local[1:], Name: name, Flags: wire.Attribute, Target: -1}
	sh := &d.requests.shapes[shape]
	for _, old := range sh.Members {
		if old.Field == m.Field {
			return
		}
	}
	sh.Members = append(sh.Members, m)
}

func (d *documents) responseShape(key string, fd *ast.FuncDecl) {
	t := d.responses
	i := t.ref(key)
	sh := wire.Shape{Target: -1, Members: []wire.Member{}}
	pointer, ok := fd.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return
	}
	switch pointer.X.(type) {
	case *ast.ArrayType:
		sh.Kind, sh.Members = wire.List, nil
		whole := read(fd.Body, "\x00")
		sh.Elem = first(whole.key(), "member")
		if whole.target() != "" {
			sh.Target = t.ref(whole.target())
		}
	case *ast.MapType:
		sh.Kind, sh.Members = wire.Map, nil
		sh.Elem, sh.Key, sh.Value = "entry", "key", "value"
		body := fd.Body
		if u := d.readers[key+"Unwrapped"]; u != nil {
			body = u.Body
		}
		whole := read(body, "\x00")
		if len(whole.keys) == 2 {
			sh.Key, sh.Value = whole.keys[0], whole.keys[1]
		}
		for _, target := range whole.targets {
			if !strings.HasSuffix(target, "Unwrapped") {
				sh.Target = t.ref(target)
			}
		}
	default:
		if _, ok := pointer.X.(*ast.StarExpr); !ok {
			if _, ok := pointer.X.(*ast.Ident); ok {
				return // func(v *XOutput, body): the payload itself, see operations
			}
			sh.Kind = wire.Union
		}
		d.cases(fd.Body, &sh)
	}
	t.shapes[i] = sh
}

// cases reads the clauses of a switch over element names or JSON keys.
func (d *documents) cases(body *ast.BlockStmt, sh *wire.Shape) {
	ast.Inspect(body, func(n ast.Node) bool {
		c, ok := n.(*ast.CaseClause)
		if !ok || c.List == nil {
			return true
		}
		r := read(c, "sv")
		if name := literal(c.List[0]); name != "" {
			r.keys = []string{name}
		}
		if sh.Kind == wire.Union {
			r.field = r.variant
		}
		if r.field != "" && r.key() != "" {
			m := d.member(r, d.responses, d.readers)
			if strings.Contains(m.Name, ":") {
				m.Flags |= wire.Attribute
			}
			sh.Members = append(sh.Members, m)
		}
		return false
	})
}

// errors lists every error type of the module with the shape of its members.
func (d *documents) errors() {
	number := map[string]int32{}
	sort.Slice(d.src.errors, func(i, j int) bool { return d.src.errors[i].name < d.src.errors[j].name })
	for i, e := range d.src.errors {
		number[e.name] = int32(i)
		shape := int32(-1)
		if n, ok := d.responses.index[e.name]; ok {
			shape = n
		}
		d.service.Errors = append(d.service.Errors, wire.Error{Type: e.name, Code: e.code, Shape: shape, Server: e.server})
	}
	for i := range d.service.Ops {
		o := &d.service.Ops[i]
		for _, name := range d.opErrors[o.Name] {
			if n, ok := number[name]; ok {
				o.Errors = append(o.Errors, n)
			}
		}
	}
}

func first(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}
