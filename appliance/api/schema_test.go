package api

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"xwire/config"
)

// object is a JSON object of the document.
type object = map[string]any

// source is what the package's text says that reflection does not: comments, and the codes.
type source struct {
	types  map[string]string // doc of a type
	fields map[string]string // comment of Type.Field
	codes  []code
}

type code struct {
	name   string
	status int
	text   string
}

func readSource(t *testing.T) *source {
	t.Helper()
	s := &source{types: map[string]string{}, fields: map[string]string{}}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				for _, spec := range g.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						s.typeComments(spec, g.Doc)
					case *ast.ValueSpec:
						s.constant(t, spec)
					}
				}
			}
		}
	}
	return s
}

func (s *source) typeComments(spec *ast.TypeSpec, doc *ast.CommentGroup) {
	s.types[spec.Name.Name] = oneLine(doc.Text())
	if st, ok := spec.Type.(*ast.StructType); ok {
		for _, f := range st.Fields.List {
			for _, n := range f.Names {
				s.fields[spec.Name.Name+"."+n.Name] = oneLine(f.Comment.Text())
			}
		}
	}
}

// constant takes a code with its status and meaning.
func (s *source) constant(t *testing.T, spec *ast.ValueSpec) {
	t.Helper()
	if !strings.HasPrefix(spec.Names[0].Name, "Code") {
		return
	}
	name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
	if err != nil {
		t.Fatal(err)
	}
	status, text, _ := strings.Cut(oneLine(spec.Comment.Text()), ":")
	n, err := strconv.Atoi(status)
	if err != nil {
		t.Fatalf("%s has no status in its comment", spec.Names[0].Name)
	}
	s.codes = append(s.codes, code{name, n, strings.TrimSpace(text)})
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// schemas collects the schemas of Go types by name.
type schemas struct {
	source *source
	named  object
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func (s *schemas) of(t reflect.Type, at string) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Keys]():
		return ref(at + "Keys")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), at)
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem(), at)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem(), at)}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return object{"type": "integer", "minimum": 0, "maximum": uint64(1)<<t.Bits() - 1}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Struct:
		s.structure(t)
		return ref(t.Name())
	}
	panic(fmt.Sprintf("no schema for %v", t))
}

func (s *schemas) structure(t reflect.Type) {
	if s.named[t.Name()] != nil {
		return
	}
	properties, required := object{}, []string{}
	s.named[t.Name()] = object{"type": "object", "description": s.source.types[t.Name()], "properties": properties, "required": &required}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		v := s.of(f.Type, t.Name())
		owner := t
		for _, i := range f.Index[:len(f.Index)-1] {
			owner = owner.Field(i).Type
		}
		if text := s.source.fields[owner.Name()+"."+f.Name]; text != "" {
			v["description"] = text
		}
		properties[name] = v
		if options != "omitempty" {
			required = append(required, name)
		}
	}
}

// ofKeys is the schema of the keys of a table of the configuration. An object has those that are not at
// their default as strings, integers and so on; null is for changes.
func ofKeys(table string) (properties object, err error) {
	properties = object{}
	for _, k := range config.Keys() {
		if k.Table != table || k.Name == "cookie_file" { // which is for files
			continue
		}
		v, err := ofKey(k)
		if err != nil {
			return nil, err
		}
		v["description"] = k.Doc
		if k.Default != nil {
			v["default"] = k.Default
		}
		properties[k.Name] = v
		if k.Alias != "" {
			alias := object{"deprecated": true, "description": "another name of " + k.Name}
			for name, e := range v {
				if alias[name] == nil {
					alias[name] = e
				}
			}
			properties[k.Alias] = alias
		}
	}
	return properties, nil
}

// forms are what the types of keys mean that are told in words, and those whose examples look like choices.
var forms = map[string][]string{
	"string": {"string"}, "boolean": {"boolean"}, "integer": {"integer"},
	"hex string or byte array":                        {"string", "array"},
	"hex string, byte array, or array of two of them": {"string", "array"},
	`"all" | "untagged" | 100 | "100-199" | "100.20"`: {"string", "integer"},
	`"keep" | "none" | 300`:                           {"string", "integer"},
	"boolean or integer":                              {"boolean", "integer"},
	"integer or string":                               {"integer", "string"},
	`integer or "inherit"`:                            {"integer", "string"},
	`boolean or "inherit"`:                            {"boolean", "string"},
	"boolean or array of 8 integers":                  {"boolean", "array"},
	"byte array or string":                            {"string", "array"},
	`array of "sync", "async"`:                        {"array"},
}

func ofKey(k config.Key) (object, error) {
	if kinds, ok := forms[k.Type]; ok {
		return object{"type": append(kinds[:len(kinds):len(kinds)], "null")}, nil
	}
	var choices []any
	for _, word := range strings.Split(k.Type, " | ") {
		choice, err := strconv.Unquote(word)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: the type %s is not among forms", k.Table, k.Name, k.Type)
		}
		choices = append(choices, choice)
	}
	return object{"type": []string{"string", "null"}, "enum": append(choices, nil)}, nil
}
