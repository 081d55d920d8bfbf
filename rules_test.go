package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"miniaws/backend/seal"
	"miniaws/backend/store"
	"miniaws/iam"
)

// The rules of the house that a compiler does not know. docs/decisions/ has the reasons.

// source is one Go file of the project.
type source struct {
	// path is from the project's root, with slashes; folder is its package's.
	path, folder string
	syntax       *ast.File
	files        *token.FileSet
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) at(node ast.Node) string {
	return s.path + ":" + s.files.Position(node.Pos()).String()[len(s.path)+1:]
}

func (s source) imports() []string {
	var all []string
	for _, spec := range s.syntax.Imports {
		all = append(all, strings.Trim(spec.Path.Value, `"`))
	}
	return all
}

func readSources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if file != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin" || name == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		s := source{path: filepath.ToSlash(file), files: token.NewFileSet()}
		s.folder = path.Dir(s.path)
		s.syntax, err = parser.ParseFile(s.files, s.path, nil, parser.ParseComments)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files found: the walk is wrong", len(all))
	}
	return all
}

// foundations are the top folders that are not services; every other top folder is one.
var foundations = []string{".", "awsapi", "backend", "boot", "integration"}

func topFolder(folder string) string {
	top, _, _ := strings.Cut(folder, "/")
	return top
}

// onlyIn says which folder alone may import a package, or anything below it.
var onlyIn = map[string]string{
	"github.com/dgraph-io/badger":  "backend/store",
	"github.com/docker/docker":     "backend/docker",
	"github.com/vishvananda":       "backend/node",
	"github.com/google/nftables":   "backend/node",
	"github.com/minio/sha256-simd": "backend/sha",
}

func within(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

func TestImportTable(t *testing.T) {
	for _, s := range readSources(t) {
		top := topFolder(s.folder)
		for _, name := range s.imports() {
			for restricted, home := range onlyIn {
				if strings.HasPrefix(name, restricted) && !within(s.folder, home) {
					t.Errorf("%s imports %s: only %s may", s.path, name, home)
				}
			}
			ours, isOurs := strings.CutPrefix(name, "miniaws/")
			if !isOurs || s.isTest() {
				continue
			}
			switch target := topFolder(ours); {
			case target == top || top == "." || top == "integration":
			case top == "backend" || top == "awsapi" && target != "backend":
				t.Errorf("%s imports %s: %s stands below it", s.path, name, top)
			case !slices.Contains(foundations, target):
				t.Errorf("%s imports %s: services do not import each other; declare an interface and let main pass it in", s.path, name)
			}
		}
	}
}

func TestEveryPackageHasItsComment(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range readSources(t) {
		if s.isTest() {
			continue
		}
		documented[s.folder] = documented[s.folder] || s.syntax.Doc != nil && strings.TrimSpace(s.syntax.Doc.Text()) != ""
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment: say what it is for, and what it does not do", folder)
		}
	}
}

// testCloud is the whole composition, as serve makes it, over a store and an engine that keep nothing.
func testCloud(t testing.TB) *cloud {
	t.Helper()
	db := store.OpenMemory(store.Options{})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := store.Migrate(t.Context(), db, tables()...); err != nil {
		t.Fatal(err)
	}
	return newCloud(cloudConfig{
		DB: db, Key: seal.NewKey(), Engine: openSimulated(), Installation: strings.Repeat("0", 32), Data: t.TempDir(),
		Account: "000000000000", Region: "us-east-1", Root: iam.NewRootKey(),
	})
}

// TestEveryOperationHasAStory: what is registered is driven by a story that says so in a line "# covers:".
func TestEveryOperationHasAStory(t *testing.T) {
	covered := map[string]bool{}
	stories, err := filepath.Glob("integration/testdata/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("stories: %v, %v", stories, err)
	}
	for _, story := range stories {
		content, err := os.ReadFile(story)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if list, ok := strings.CutPrefix(line, "# covers:"); ok {
				for _, operation := range strings.Fields(list) {
					covered[operation] = true
				}
			}
		}
	}
	for _, service := range testCloud(t).api.Coverage() {
		for _, name := range service.Implemented {
			if operation := service.Service + ":" + name; !covered[operation] {
				t.Errorf("%s is implemented and no story covers it", operation)
			}
			delete(covered, service.Service+":"+name)
		}
	}
	for operation := range covered {
		t.Errorf("a story covers %s, which is not implemented", operation)
	}
}

// bannedNames are file names that say nothing, or name the chore that made the file.
var bannedNames = regexp.MustCompile(`^(utils?|helpers?|common|misc|ext|extra|fixes|base|manager|impl)(_test)?\.go$|_(ext|extra|fixes|utils?|helpers?)(_test)?\.go$`)

func TestFileNames(t *testing.T) {
	for _, s := range readSources(t) {
		if bannedNames.MatchString(path.Base(s.path)) {
			t.Errorf("%s: name the noun that the file is about", s.path)
		}
	}
}

// TestServicesStartNoGoroutines: a handler that answers before the work is done leaves that work to the reconcile loop.
func TestServicesStartNoGoroutines(t *testing.T) {
	for _, s := range readSources(t) {
		if s.isTest() || slices.Contains(foundations, topFolder(s.folder)) {
			continue
		}
		ast.Inspect(s.syntax, func(node ast.Node) bool {
			if statement, ok := node.(*ast.GoStmt); ok {
				t.Errorf("%s: no go statement in a service", s.at(statement))
			}
			return true
		})
	}
}

// TestNobodyExecsIntoContainers: an exec enters an instance beside the guards that its PID 1 set up.
func TestNobodyExecsIntoContainers(t *testing.T) {
	for _, s := range readSources(t) {
		ast.Inspect(s.syntax, func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok && strings.HasPrefix(selector.Sel.Name, "ContainerExec") {
				t.Errorf("%s: %s", s.at(selector), selector.Sel.Name)
			}
			return true
		})
	}
}

// Regular expressions of packages are compiled when they are used: compiled at each start they cost all commands many
// milliseconds. Those that are not compiled by any test would fail late, so all are compiled here.
func TestRegularExpressions(t *testing.T) {
	found := 0
	for _, s := range readSources(t) {
		if s.isTest() {
			continue
		}
		for _, declaration := range s.syntax.Decls {
			variables, ok := declaration.(*ast.GenDecl)
			if !ok || variables.Tok != token.VAR {
				continue
			}
			ast.Inspect(variables, func(node ast.Node) bool {
				call, ok := node.(*ast.CallExpr)
				if !ok || len(call.Args) != 1 {
					return true
				}
				switch name(call.Fun) {
				case "regexp.MustCompile":
					t.Errorf("%s: compiles an expression at each start; take lazyregexp.New", s.at(call))
				case "lazyregexp.New":
					found++
					text, err := text(call.Args[0])
					if err == nil {
						_, err = regexp.Compile(text)
					}
					if err != nil {
						t.Errorf("%s: %v", s.at(call), err)
					}
				}
				return true
			})
		}
	}
	if found < 20 {
		t.Errorf("only %d expressions found: the walk is wrong", found)
	}
}

// name answers what a call of a package's function names, such as "regexp.MustCompile".
func name(function ast.Expr) string {
	selector, ok := function.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if of, ok := selector.X.(*ast.Ident); ok {
		return of.Name + "." + selector.Sel.Name
	}
	return ""
}

// text answers the string of a literal or of a sum of them.
func text(expression ast.Expr) (string, error) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(e.Value)
	case *ast.BinaryExpr:
		left, err := text(e.X)
		right, errRight := text(e.Y)
		return left + right, errors.Join(err, errRight)
	default:
		return "", errors.New("its text is not a literal")
	}
}

// maxTracked is the size of the largest file that belongs into the repository, in bytes: tables that are generated, never
// programs.
const maxTracked = 1 << 20

// TestNothingBuiltIsTracked: a program that was built here once lay in the repository, 75 MB of it.
func TestNothingBuiltIsTracked(t *testing.T) {
	listed, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Skip("this is no clone, or there is no git:", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		if info, err := os.Lstat(name); err == nil && info.Size() > maxTracked {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
}
