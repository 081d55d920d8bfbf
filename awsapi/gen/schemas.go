package main

import (
	"go/ast"
	"go/token"
	"sort"
	"strconv"
	"strings"

	"miniaws/awsapi/wire"
)

// schema is one NewSchema declaration.
type schema struct {
	typ    string // ShapeTypeStructure and so on
	id     string // Smithy name
	traits map[string]map[string]string
}

// schemas is the front end for services whose clients are on smithy-go's schemas. One table serves both ways.
type schemas struct {
	decls map[string]schema // by Go variable
	table *shapeTable
}

var schemaKinds = map[string]wire.Kind{
	"ShapeTypeStructure": wire.Struct, "ShapeTypeList": wire.List, "ShapeTypeMap": wire.Map, "ShapeTypeUnion": wire.Union,
}

// readSchemas also returns the name of the service's schema, which is the X-Amz-Target prefix.
func readSchemas(name string, src *source) (*wire.Service, string) {
	f := src.files["schemas/schemas.go"]
	s := &schemas{decls: map[string]schema{}, table: newShapeTable()}
	target := ""
	for _, d := range f.Decls {
		if gd, ok := d.(*ast.GenDecl); ok && gd.Tok == token.VAR {
			for _, sp := range gd.Specs {
				s.declare(sp.(*ast.ValueSpec))
			}
		}
	}
	for _, v := range sortedKeys(s.decls) {
		if s.decls[v].typ == "ShapeTypeService" {
			target = s.decls[v].id
		}
		kind, ok := schemaKinds[s.decls[v].typ]
		if !ok {
			continue
		}
		sh := &s.table.shapes[s.table.ref(v)]
		sh.Kind = kind
		switch kind {
		case wire.List:
			sh.Elem, sh.Members = "member", nil
		case wire.Map:
			sh.Elem, sh.Key, sh.Value, sh.Members = "entry", "key", "value", nil
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			if fn, ok := c.Fun.(*ast.SelectorExpr); ok && fn.Sel.Name == "AddMember" {
				s.member(fn.X.(*ast.Ident).Name, c)
			}
		}
		return true
	})
	svc := &wire.Service{Name: name}
	s.errors(src, svc)
	for _, op := range src.operations() {
		o := wire.Op{Name: op, In: -1, Out: -1, Wrapper: op + "Result"}
		if i, ok := s.table.index[src.opShapes[op+"Input"]]; ok {
			o.In = i
		}
		if i, ok := s.table.index[src.opShapes[op+"Output"]]; ok {
			o.Out = i
		}
		for _, v := range sortedKeys(s.decls) {
			if d := s.decls[v]; d.typ == "ShapeTypeOperation" && d.id == op && d.traits["HTTP"] != nil {
				o.Method, o.URI, o.Wrapper = d.traits["HTTP"]["Method"], d.traits["HTTP"]["URI"], ""
				o.Status = number(d.traits["HTTP"]["Code"])
			}
		}
		svc.Ops = append(svc.Ops, o)
	}
	svc.Requests = s.table.shapes
	svc.Responses = svc.Requests
	return svc, target
}

func number(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func (s *schemas) declare(sp *ast.ValueSpec) {
	if len(sp.Values) != 1 {
		return
	}
	c, ok := sp.Values[0].(*ast.CallExpr)
	if !ok || len(c.Args) < 2 {
		return
	}
	fn, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || fn.Sel.Name != "NewSchema" {
		return
	}
	id := fieldsOf(c.Args[0])["Name"]
	s.decls[sp.Names[0].Name] = schema{typ: c.Args[1].(*ast.SelectorExpr).Sel.Name, id: id, traits: traitsOf(c.Args[2:])}
}

// traitsOf reads &smithytraits.X{Field: value, …} arguments.
func traitsOf(args []ast.Expr) map[string]map[string]string {
	traits := map[string]map[string]string{}
	for _, a := range args {
		u, ok := a.(*ast.UnaryExpr)
		if !ok {
			continue
		}
		lit, ok := u.X.(*ast.CompositeLit)
		if !ok {
			continue
		}
		if sel, ok := lit.Type.(*ast.SelectorExpr); ok {
			traits[sel.Sel.Name] = fieldsOf(lit)
		}
	}
	return traits
}

func fieldsOf(e ast.Expr) map[string]string {
	fields := map[string]string{}
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return fields
	}
	for _, el := range lit.Elts {
		kv, ok := el.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if b, ok := kv.Value.(*ast.BasicLit); ok {
			v := b.Value
			if b.Kind == token.STRING {
				v = literal(b)
			}
			fields[kv.Key.(*ast.Ident).Name] = v
		}
	}
	return fields
}

func (s *schemas) member(owner string, c *ast.CallExpr) {
	kind, ok := schemaKinds[s.decls[owner].typ]
	if !ok {
		return
	}
	name := literal(c.Args[0])
	target := int32(-1)
	var inherited map[string]map[string]string
	if id, ok := c.Args[1].(*ast.Ident); ok {
		if _, aggregate := schemaKinds[s.decls[id.Name].typ]; aggregate {
			target = s.table.ref(id.Name)
		}
		inherited = s.decls[id.Name].traits
	}
	traits := traitsOf(c.Args[2:])
	sh := &s.table.shapes[s.table.ref(owner)]
	switch kind {
	case wire.List:
		sh.Target = target
		sh.Elem = first(traits["XMLName"]["Name"], sh.Elem)
		return
	case wire.Map:
		alt := traits["XMLName"]["Name"]
		if name == "value" {
			sh.Target = target
			sh.Value = first(alt, sh.Value)
		} else {
			sh.Key = first(alt, sh.Key)
		}
		return
	}
	m := wire.Member{Field: strings.ToUpper(name[:1]) + name[1:], Name: name, Alt: traits["XMLName"]["Name"], Target: target}
	m.Flags = timestamp(first(traits["TimestampFormat"]["Format"], inherited["TimestampFormat"]["Format"]))
	if traits["XMLFlattened"] != nil {
		m.Flags |= wire.Flat
	}
	if kind == wire.Union {
		m.Field = s.decls[owner].id + "Member" + m.Field
	}
	switch {
	case inherited["Streaming"] != nil && target >= 0:
		m.Location = wire.Events
	case traits["HTTPLabel"] != nil:
		m.Location = wire.Path
	case traits["HTTPPayload"] != nil:
		m.Location = wire.Payload
	case traits["HTTPQuery"] != nil:
		m.Location, m.Name = wire.Query, traits["HTTPQuery"]["Name"]
	case traits["HTTPHeader"] != nil:
		m.Location, m.Name = wire.Header, traits["HTTPHeader"]["Name"]
	case traits["HTTPPrefixHeaders"] != nil:
		m.Location, m.Name = wire.PrefixHeaders, traits["HTTPPrefixHeaders"]["Prefix"]
	case traits["HTTPResponseCode"] != nil:
		m.Location = wire.StatusCode
	}
	sh.Members = append(sh.Members, m)
}

func timestamp(format string) wire.Flags {
	switch format {
	case "date-time":
		return wire.DateTime
	case "http-date":
		return wire.HTTPDate
	case "epoch-seconds":
		return wire.Epoch
	}
	return 0
}

func (s *schemas) errors(src *source, svc *wire.Service) {
	sort.Slice(src.errors, func(i, j int) bool { return src.errors[i].name < src.errors[j].name })
	for _, e := range src.errors {
		w := wire.Error{Type: e.name, Code: e.code, Shape: -1, Server: e.server}
		for _, v := range sortedKeys(s.decls) {
			d := s.decls[v]
			if d.typ != "ShapeTypeStructure" || d.traits["Error"] == nil || !strings.EqualFold(d.id, e.name) {
				continue
			}
			w.Shape = s.table.ref(v)
			w.QueryCode = d.traits["AWSQueryError"]["ErrorCode"]
			w.Status = number(d.traits["HTTPError"]["Code"])
		}
		svc.Errors = append(svc.Errors, w)
	}
}
