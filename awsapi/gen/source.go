package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// goField is one exported field of an SDK structure.
type goField struct {
	name     string
	typ      ast.Expr
	required bool
}

// goError is one type of the SDK's types/errors.go.
type goError struct {
	name, code string
	server     bool
}

// source is the parsed Go source of one SDK module.
type source struct {
	dir      string
	version  string
	files    map[string]*ast.File
	structs  map[string][]goField // XInput and XOutput of the operations, types.X for the rest
	unions   map[string][]string  // interface -> variants
	enums    map[string][]string  // type -> values
	errors   []goError
	opShapes map[string]string // XInput or XOutput -> schema variable, for services on schemas
}

// moduleDir answers the folder of the pinned version in the module cache. It is fetched if it is not there: a build
// fetches only the modules that something imports.
func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", "github.com/aws/aws-sdk-go-v2/service/"+module).Output()
	var found struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &found); jsonErr != nil {
		return "", fmt.Errorf("find module %s: %w", module, errors.Join(err, jsonErr))
	}
	if found.Error != "" || found.Dir == "" {
		return "", fmt.Errorf("find module %s: %s", module, found.Error)
	}
	return found.Dir, nil
}

func load(module string) (*source, error) {
	dir, err := moduleDir(module)
	if err != nil {
		return nil, err
	}
	s := &source{dir: dir, files: map[string]*ast.File{}, structs: map[string][]goField{}, unions: map[string][]string{},
		enums: map[string][]string{}, opShapes: map[string]string{}}
	ops, err := filepath.Glob(filepath.Join(dir, "api_op_*.go"))
	if err != nil {
		return nil, err
	}
	paths := append(ops, "api_client.go", "serializers.go", "deserializers.go", "schemas/schemas.go", "types/types.go", "types/enums.go", "types/errors.go")
	fset := token.NewFileSet()
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		full := p
		if !filepath.IsAbs(p) {
			full = filepath.Join(dir, p)
		}
		if _, err := os.Stat(full); err != nil {
			continue
		}
		f, err := parser.ParseFile(fset, full, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, err
		}
		s.files[strings.TrimPrefix(strings.TrimPrefix(full, dir), "/")] = f
	}
	for _, name := range sortedKeys(s.files) {
		s.collect(name, s.files[name])
	}
	for _, v := range s.unions {
		slices.Sort(v)
	}
	return s, nil
}

func (s *source) collect(name string, f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, sp := range d.Specs {
				switch sp := sp.(type) {
				case *ast.TypeSpec:
					s.collectType(name, sp)
				case *ast.ValueSpec:
					s.collectValue(name, sp)
				}
			}
		case *ast.FuncDecl:
			if d.Recv != nil && d.Body != nil {
				s.collectMethod(name, d)
			}
		}
	}
}

func (s *source) collectType(file string, sp *ast.TypeSpec) {
	st, ok := sp.Type.(*ast.StructType)
	if !ok {
		return
	}
	fields := []goField{}
	for _, f := range st.Fields.List {
		for _, n := range f.Names {
			if n.IsExported() && n.Name != "ResultMetadata" && n.Name != "ErrorCodeOverride" {
				fields = append(fields, goField{n.Name, f.Type, strings.Contains(f.Doc.Text(), "This member is required.")})
			}
		}
	}
	name := sp.Name.Name
	if strings.HasPrefix(file, "types/") {
		name = "types." + name // some types are named like an operation's input
	}
	s.structs[name] = fields
}

func (s *source) collectValue(file string, sp *ast.ValueSpec) {
	switch {
	case file == "types/enums.go" && len(sp.Values) == 1:
		if id, ok := sp.Type.(*ast.Ident); ok {
			s.enums[id.Name] = append(s.enums[id.Name], literal(sp.Values[0]))
		}
	case file == "api_client.go" && sp.Names[0].Name == "ServiceAPIVersion":
		s.version = literal(sp.Values[0])
	}
}

func (s *source) collectMethod(file string, d *ast.FuncDecl) {
	recv := d.Recv.List[0].Type
	if p, ok := recv.(*ast.StarExpr); ok {
		recv = p.X
	}
	id, ok := recv.(*ast.Ident)
	if !ok {
		return
	}
	switch {
	case strings.HasPrefix(d.Name.Name, "is") && len(d.Body.List) == 0 && id.Name != "UnknownUnionMember":
		u := d.Name.Name[2:]
		s.unions[u] = append(s.unions[u], id.Name)
	case file == "types/errors.go" && d.Name.Name == "ErrorCode":
		ast.Inspect(d.Body, func(n ast.Node) bool {
			if r, ok := n.(*ast.ReturnStmt); ok {
				if code := literal(r.Results[0]); code != "" {
					s.errors = append(s.errors, goError{name: id.Name, code: code})
				}
			}
			return true
		})
	case file == "types/errors.go" && d.Name.Name == "ErrorFault":
		ast.Inspect(d.Body, func(n ast.Node) bool {
			if x, ok := n.(*ast.SelectorExpr); ok && x.Sel.Name == "FaultServer" {
				s.errors[len(s.errors)-1].server = true
			}
			return true
		})
	case strings.HasPrefix(file, "api_op_") && (d.Name.Name == "Serialize" || d.Name.Name == "Deserialize"):
		ast.Inspect(d.Body, func(n ast.Node) bool {
			if x, ok := n.(*ast.SelectorExpr); ok {
				if p, ok := x.X.(*ast.Ident); ok && p.Name == "schemas" && s.opShapes[id.Name] == "" {
					s.opShapes[id.Name] = x.Sel.Name
				}
			}
			return true
		})
	}
}

// operations lists the operations that the client has, sorted.
func (s *source) operations() []string {
	var ops []string
	for name := range s.files {
		if op, ok := strings.CutPrefix(name, "api_op_"); ok {
			ops = append(ops, strings.TrimSuffix(op, ".go"))
		}
	}
	slices.Sort(ops)
	return ops
}

// literal is the value of a string literal, or "".
func literal(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		if s, err := strconv.Unquote(l.Value); err == nil {
			return s
		}
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
