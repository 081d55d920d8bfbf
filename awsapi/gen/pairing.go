package main

import (
	"fmt"
	"go/ast"
	"strings"

	"miniaws/awsapi/wire"
)

// pairing walks the Go types of all operations beside their shapes. It marks required members and reports
// fields that have no name on the wire.
type pairing struct {
	src      *source
	unmapped map[string]bool
	visited  map[string]bool
}

// pair returns the unmapped fields, sorted, as Type.Field.
func pair(src *source, svc *wire.Service) []string {
	p := &pairing{src: src, unmapped: map[string]bool{}, visited: map[string]bool{}}
	for i := range svc.Ops {
		o := &svc.Ops[i]
		if svc.Name == "s3" {
			p.bucket(o, svc)
		}
		p.structure(o.Name+"Input", o.In, svc.Requests, "in")
		p.structure(o.Name+"Output", o.Out, svc.Responses, "out")
	}
	return sortedKeys(p.unmapped)
}

// bucket adds the bucket to S3's inputs: the client takes it out of the path through its endpoint rules, the
// server's router puts it back.
func (p *pairing) bucket(o *wire.Op, svc *wire.Service) {
	for _, f := range p.src.structs[o.Name+"Input"] {
		if f.name != "Bucket" {
			continue
		}
		if o.In < 0 {
			o.In = int32(len(svc.Requests))
			svc.Requests = append(svc.Requests, wire.Shape{Target: -1, Members: []wire.Member{}})
		}
		sh := &svc.Requests[o.In]
		for _, m := range sh.Members {
			if m.Field == "Bucket" {
				return
			}
		}
		sh.Members = append(sh.Members, wire.Member{Field: "Bucket", Name: "Bucket", Location: wire.Path, Target: -1})
		o.URI = "/{Bucket}" + o.URI
	}
}

func (p *pairing) structure(name string, shape int32, table []wire.Shape, way string) {
	key := fmt.Sprint(name, shape, way)
	if p.visited[key] {
		return
	}
	p.visited[key] = true
	fields, ok := p.src.structs[name]
	if !ok {
		return
	}
	var sh *wire.Shape
	if shape >= 0 {
		sh = &table[shape]
	}
	for _, f := range fields {
		found := false
		if sh != nil {
			for i := range sh.Members {
				m := &sh.Members[i]
				if m.Field != f.name {
					continue
				}
				found = true
				if f.required && way == "in" {
					m.Flags |= wire.Required
				}
				p.value(f.typ, m.Target, table, way)
			}
		}
		if !found {
			p.unmapped[way+" "+name+"."+f.name] = true
		}
	}
}

// value descends into a field's type.
func (p *pairing) value(t ast.Expr, shape int32, table []wire.Shape, way string) {
	switch t := t.(type) {
	case *ast.StarExpr:
		p.value(t.X, shape, table, way)
	case *ast.ArrayType:
		if shape >= 0 && table[shape].Kind == wire.List {
			p.value(t.Elt, table[shape].Target, table, way)
		}
	case *ast.MapType:
		if shape >= 0 && table[shape].Kind == wire.Map {
			p.value(t.Value, table[shape].Target, table, way)
		}
	case *ast.SelectorExpr:
		p.named(t.Sel.Name, shape, table, way)
	case *ast.Ident:
		p.named(t.Name, shape, table, way)
	}
}

func (p *pairing) named(name string, shape int32, table []wire.Shape, way string) {
	variants := p.src.unions[name]
	if variants == nil {
		p.structure("types."+name, shape, table, way)
		return
	}
	key := fmt.Sprint(name, shape, way)
	if p.visited[key] {
		return
	}
	p.visited[key] = true
	for _, v := range variants {
		found := false
		if shape >= 0 {
			for _, m := range table[shape].Members {
				if m.Field == v {
					found = true
					for _, f := range p.src.structs["types."+v] {
						p.value(f.typ, m.Target, table, way)
					}
				}
			}
		}
		if !found && !strings.HasPrefix(v, "Unknown") {
			p.unmapped[way+" "+name+" variant "+v] = true
		}
	}
}
