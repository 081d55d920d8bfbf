package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// A return that names a variable beside a call whose function literal assigns it depends on which of the two is evaluated
// first, and Go leaves that open.
// Spec: "Order of evaluation": of calls alone, not of the variables between them.
func TestNoReturnDependsOnTheOrderOfEvaluation(t *testing.T) {
	for _, file := range readSources(t) {
		for _, found := range dependentReturns(file.syntax) {
			t.Errorf("%s: the return reads %s, which its own function literal assigns", file.at(found), found.Name)
		}
	}
}

// dependentReturns are the variables that a file's returns read beside a function literal that assigns them.
func dependentReturns(file *ast.File) (found []*ast.Ident) {
	ast.Inspect(file, func(n ast.Node) bool {
		result, ok := n.(*ast.ReturnStmt)
		if !ok || len(result.Results) < 2 {
			return true
		}
		assigned := map[string]bool{}
		for _, value := range result.Results {
			ast.Inspect(value, func(n ast.Node) bool {
				if literal, ok := n.(*ast.FuncLit); ok {
					assignedIn(literal, assigned)
					return false
				}
				return true
			})
		}
		for _, value := range result.Results {
			ast.Inspect(value, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit, *ast.KeyValueExpr:
					return false
				case *ast.UnaryExpr:
					return n.Op != token.AND // where it is, which does not change
				case *ast.SelectorExpr:
					ast.Inspect(n.X, func(n ast.Node) bool {
						if name, ok := n.(*ast.Ident); ok && assigned[name.Name] {
							found = append(found, name)
						}
						return true
					})
					return false
				case *ast.Ident:
					if assigned[n.Name] {
						found = append(found, n)
					}
				}
				return true
			})
		}
		return true
	})
	return found
}

// assignedIn notes the variables that a literal assigns and did not declare.
func assignedIn(literal *ast.FuncLit, assigned map[string]bool) {
	own := map[string]bool{}
	declare := func(list *ast.FieldList) {
		if list == nil {
			return
		}
		for _, field := range list.List {
			for _, name := range field.Names {
				own[name.Name] = true
			}
		}
	}
	write := func(target ast.Expr) {
		if name, ok := target.(*ast.Ident); ok && name.Name != "_" && !own[name.Name] {
			assigned[name.Name] = true
		}
	}
	ast.Inspect(literal, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			declare(n.Type.Params)
			declare(n.Type.Results)
		case *ast.ValueSpec:
			for _, name := range n.Names {
				own[name.Name] = true
			}
		case *ast.RangeStmt:
			for _, target := range []ast.Expr{n.Key, n.Value} {
				if name, ok := target.(*ast.Ident); ok && n.Tok == token.DEFINE {
					own[name.Name] = true
				} else if ok {
					write(target)
				}
			}
		case *ast.AssignStmt:
			for _, target := range n.Lhs {
				if name, ok := target.(*ast.Ident); ok && n.Tok == token.DEFINE {
					own[name.Name] = true
				} else {
					write(target)
				}
			}
		case *ast.IncDecStmt:
			write(n.X)
		}
		return true
	})
}

// The rule sees what it is about, and lets through what depends on nothing.
func TestDependentReturnsAreSeen(t *testing.T) {
	source := `package p
func bad1() (x int, err error) { return x, do(func() error { x = 1; return nil }) }
func bad2() (x int, err error) { return x + 1, do(func() error { x++; return nil }) }
func bad3() (x t, err error) { return x.f, do(func() error { x, err = g(); return nil }) }
func good1() (*t, error) { x := &t{}; return x, do(func() error { x.f = 1; return nil }) }
func good2() (*t, error) { var x t; return &x, do(func() error { x = g(); return nil }) }
func good3() (x int, err error) { return x, do(func() error { x := 1; x++; return nil }) }
func good4() (x int, err error) { err = do(func() error { x = 1; return nil }); return x, err }
`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, found := range dependentReturns(file) {
		names = append(names, found.Name)
	}
	if strings.Join(names, " ") != "x x x" {
		t.Error(names)
	}
}
