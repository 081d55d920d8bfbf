package ssm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"go.yaml.in/yaml/v3"

	"miniaws/backend/lazyregexp"
)

// documentContent is what the server reads of a document.
// AWS: "Command document schema features and examples" and "SSM document syntax".
type documentContent struct {
	SchemaVersion string                       `json:"schemaVersion"`
	Description   string                       `json:"description"`
	Parameters    map[string]documentParameter `json:"parameters"`
	// MainSteps are those of schema 2.x and 0.3, RuntimeConfig of 1.2.
	MainSteps     []documentStep `json:"mainSteps"`
	RuntimeConfig map[string]struct {
		Properties json.RawMessage `json:"properties"`
	} `json:"runtimeConfig"`
	SessionType string `json:"sessionType"`
}

type documentParameter struct {
	Type           string `json:"type"`
	Description    string `json:"description"`
	Default        any    `json:"default"`
	AllowedPattern string `json:"allowedPattern"`
	AllowedValues  []any  `json:"allowedValues"`
	MinItems       *int   `json:"minItems"`
	MaxItems       *int   `json:"maxItems"`
	MinChars       *int   `json:"minChars"`
	MaxChars       *int   `json:"maxChars"`
}

type documentStep struct {
	Action       string              `json:"action"`
	Name         string              `json:"name"`
	Inputs       map[string]any      `json:"inputs"`
	Precondition map[string][]string `json:"precondition"`
}

// parse reads a content by its format.
func parse(format types.DocumentFormat, content string) (*documentContent, error) {
	text := []byte(content)
	switch format {
	case types.DocumentFormatYaml:
		var tree any
		if err := yaml.Unmarshal(text, &tree); err != nil {
			return nil, errInvalidDocumentContent("YAML not well-formed. " + strings.TrimPrefix(err.Error(), "yaml: "))
		}
		var err error
		if text, err = json.Marshal(tree); err != nil { // keys that are no text
			return nil, errInvalidDocumentContent("YAML not well-formed. " + err.Error())
		}
	case types.DocumentFormatText:
		return &documentContent{}, nil
	}
	var parsed documentContent
	err := json.Unmarshal(text, &parsed)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return &parsed, nil
	case errors.As(err, &wrong):
		return nil, errInvalidDocumentContent("The document's " + wrong.Field + " is not of the right type.")
	}
	at := 0
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = int(syntax.Offset)
	}
	before := text[:min(at, len(text))]
	line := bytes.Count(before, []byte("\n"))
	return nil, errInvalidDocumentContent(fmt.Sprintf("JSON not well-formed. at Line: %d, Column: %d", line+1, len(before)-bytes.LastIndexByte(before, '\n')-1))
}

// read checks the content and notes what it says of itself.
func (v *documentVersion) read(typ types.DocumentType) error {
	parsed, err := parse(v.Format, v.Content)
	if err != nil {
		return err
	}
	v.parsed, v.Schema, v.Said = parsed, parsed.SchemaVersion, parsed.Description
	v.platforms = []types.PlatformType{types.PlatformTypeWindows, types.PlatformTypeLinux, types.PlatformTypeMacos}
	switch typ {
	case types.DocumentTypeCommand:
		err = parsed.checkCommand()
		if parsed.onlyShell() {
			v.platforms = v.platforms[1:]
		}
	case types.DocumentTypeAutomation:
		if parsed.SchemaVersion != "0.3" {
			err = errDocumentSchema()
		} else {
			err = parsed.checkSteps()
		}
	case types.DocumentTypeSession:
		if parsed.SchemaVersion != "1.0" {
			err = errDocumentSchema()
		}
	}
	if err != nil {
		return err
	}
	v.shownParameters = nil
	for _, name := range parameterNames(v.Format, v.Content) {
		p, ok := parsed.Parameters[name]
		if !ok {
			continue
		}
		shown := types.DocumentParameter{Name: aws.String(name), Type: types.DocumentParameterType(p.Type), Description: optional(p.Description)}
		if p.Default != nil {
			shown.DefaultValue = aws.String(asText(p.Default))
		}
		v.shownParameters = append(v.shownParameters, shown)
	}
	return nil
}

// parameterNames are the names of a document's parameters in its own order, which is that of answers.
func parameterNames(format types.DocumentFormat, content string) (names []string) {
	if format == types.DocumentFormatYaml {
		var document struct {
			Parameters yaml.Node `yaml:"parameters"`
		}
		if yaml.Unmarshal([]byte(content), &document) != nil {
			return nil // it was read before
		}
		for i := 0; i+1 < len(document.Parameters.Content); i += 2 {
			names = append(names, document.Parameters.Content[i].Value)
		}
		return names
	}
	var document struct {
		Parameters json.RawMessage `json:"parameters"`
	}
	if json.Unmarshal([]byte(content), &document) != nil {
		return nil
	}
	tokens := json.NewDecoder(bytes.NewReader(document.Parameters))
	if _, err := tokens.Token(); err != nil {
		return nil // none
	}
	for tokens.More() {
		name, err := tokens.Token()
		var skipped json.RawMessage
		if err != nil || tokens.Decode(&skipped) != nil {
			return names
		}
		if text, ok := name.(string); ok && !slices.Contains(names, text) {
			names = append(names, text)
		}
	}
	return names
}

// checkCommand checks what runs in instances.
func (d *documentContent) checkCommand() error {
	switch d.SchemaVersion {
	case "1.0", "1.2":
		if len(d.RuntimeConfig) == 0 {
			return errInvalidDocumentContent("The document has no runtimeConfig.")
		}
	case "2.0", "2.2":
		if err := d.checkSteps(); err != nil {
			return err
		}
	case "":
		return errInvalidDocumentContent("The document has no schemaVersion.")
	default:
		return errDocumentSchema()
	}
	for name, p := range d.Parameters {
		switch p.Type {
		case "String", "StringList", "Boolean", "Integer", "MapList", "StringMap":
		default:
			return errInvalidDocumentContent("The parameter " + name + " is of the unknown type " + p.Type + ".")
		}
		if _, err := regexp.Compile(p.AllowedPattern); err != nil {
			return errInvalidDocumentContent("The allowedPattern of the parameter " + name + " is no regular expression.")
		}
	}
	return nil
}

func (d *documentContent) checkSteps() error {
	if len(d.MainSteps) == 0 {
		return errInvalidDocumentContent("The document has no mainSteps.")
	}
	seen := map[string]bool{}
	for _, step := range d.MainSteps {
		switch {
		case step.Action == "" || step.Name == "":
			return errInvalidDocumentContent("Every step needs an action and a name.")
		case seen[step.Name]:
			return errInvalidDocumentContent("The step name " + step.Name + " is there twice.")
		}
		seen[step.Name] = true
	}
	return nil
}

// onlyShell tells that all steps are for Linux and macOS.
func (d *documentContent) onlyShell() bool {
	for _, step := range d.MainSteps {
		if step.Action != scriptPlugin {
			return false
		}
	}
	for plugin := range d.RuntimeConfig {
		if plugin != scriptPlugin {
			return false
		}
	}
	return true
}

// What a step's onFailure and onSuccess may say.
// AWS: "Command document plugin reference", Shared inputs.
const (
	exitRun        = "exit"
	succeedAndExit = "successAndExit"
)

// step is one script that a document runs.
type step struct {
	// name is the step's; of schema 1.2 it is the plugin's.
	name         string
	text, folder string
	timeout      time.Duration
	// skipped tells that its precondition is not met here.
	skipped bool
	// onFailure and onSuccess are "exit" where no further step is to run then, but a last one that is finally.
	onFailure, onSuccess string
	finally              bool
}

// plan answers the steps that a document runs with these parameters.
func (d *documentContent) plan(given map[string][]string) ([]step, error) {
	values, err := d.values(given)
	if err != nil {
		return nil, err
	}
	raw := d.MainSteps
	for plugin, config := range d.RuntimeConfig {
		var list []map[string]any
		if json.Unmarshal(config.Properties, &list) != nil {
			var alone map[string]any
			if err := json.Unmarshal(config.Properties, &alone); err != nil {
				return nil, errInvalidDocumentContent("The properties of " + plugin + " are not valid.")
			}
			list = append(list, alone)
		}
		for i, inputs := range list {
			name := plugin
			if i > 0 {
				name = fmt.Sprintf("%d.%s", i, plugin)
			}
			raw = append(raw, documentStep{Action: plugin, Name: name, Inputs: inputs})
		}
	}
	steps := make([]step, 0, len(raw))
	for _, wanted := range raw {
		made := step{name: wanted.Name, timeout: defaultTimeout * time.Second}
		for operator, sides := range wanted.Precondition {
			if operator != "StringEquals" || len(sides) != 2 {
				return nil, errInvalidDocumentContent("The precondition of the step " + wanted.Name + " is not valid.")
			}
			left, right := asText(substitute(sides[0], values)), asText(substitute(sides[1], values))
			left = strings.ReplaceAll(left, "platformType", "Linux")
			made.skipped = made.skipped || left != right
		}
		if made.skipped {
			steps = append(steps, made)
			continue
		}
		if wanted.Action != scriptPlugin {
			return nil, errNotImplemented("Run Command steps of the action " + wanted.Action)
		}
		if err := made.fill(wanted.Inputs, values); err != nil {
			return nil, err
		}
		steps = append(steps, made)
	}
	return steps, nil
}

// fill takes over a step's inputs.
func (s *step) fill(inputs map[string]any, values map[string]any) error {
	for name, input := range inputs {
		value := substitute(input, values)
		switch name {
		case "runCommand", "commands":
			s.text = strings.Join(asList(value), "\n") + "\n"
		case "workingDirectory":
			s.folder = asText(value)
		case "timeoutSeconds":
			text := asText(value)
			if text == "" {
				continue
			}
			seconds, err := strconv.Atoi(text)
			if err != nil || seconds < 1 || seconds > 172800 {
				return errInvalidParameters("timeoutSeconds must be from 1 to 172800")
			}
			s.timeout = time.Duration(seconds) * time.Second
		case "onFailure", "onSuccess":
			switch text := asText(value); {
			case text == exitRun && name == "onSuccess":
				s.onSuccess = text
			case name == "onFailure" && (text == exitRun || text == succeedAndExit):
				s.onFailure = text
			case text != "":
				return errNotImplemented("the value " + text + " of a Run Command step's input " + name)
			}
		case "finallyStep":
			s.finally = asText(value) == "true"
		case "id": // schema 1.2 names its steps so
		default:
			return errNotImplemented("the input " + name + " of a Run Command step")
		}
	}
	if strings.TrimSpace(s.text) == "" {
		return errInvalidParameters("the step " + s.name + " has no command to run")
	}
	return nil
}

// values checks the given parameters and adds the defaults.
func (d *documentContent) values(given map[string][]string) (map[string]any, error) {
	all := map[string]any{}
	for name := range given {
		if _, ok := d.Parameters[name]; !ok {
			return nil, errInvalidParameters("the document has no parameter " + name)
		}
	}
	for name, p := range d.Parameters {
		list, ok := given[name]
		if !ok {
			if p.Default == nil {
				return nil, errInvalidParameters("the parameter " + name + " is required")
			}
			all[name] = p.Default
			continue
		}
		if err := p.check(name, list); err != nil {
			return nil, err
		}
		if p.Type == "StringList" {
			all[name] = list
		} else {
			all[name] = list[0]
		}
	}
	return all, nil
}

func (p documentParameter) check(name string, list []string) error {
	switch {
	case p.Type != "StringList" && len(list) != 1:
		return errInvalidParameters("the parameter " + name + " takes one value")
	case p.MinItems != nil && len(list) < *p.MinItems, p.MaxItems != nil && len(list) > *p.MaxItems:
		return errInvalidParameters("the parameter " + name + " has too few or too many values")
	}
	for _, value := range list {
		switch {
		case p.MinChars != nil && len(value) < *p.MinChars, p.MaxChars != nil && len(value) > *p.MaxChars:
			return errInvalidParameters("a value of the parameter " + name + " is too short or too long")
		case len(p.AllowedValues) > 0 && !slices.ContainsFunc(p.AllowedValues, func(allowed any) bool { return asText(allowed) == value }):
			return errInvalidParameters("the parameter " + name + " has a value that is not allowed")
		}
		if p.AllowedPattern != "" {
			if pattern, err := regexp.Compile("^(?:" + p.AllowedPattern + ")$"); err != nil || !pattern.MatchString(value) {
				return errInvalidParameters("a value of the parameter " + name + " does not match " + p.AllowedPattern)
			}
		}
	}
	return nil
}

var placeholders = lazyregexp.New(`\{\{\s*([A-Za-z0-9_.-]+)\s*\}\}`)

// substitute replaces {{ name }} by values: one that stands alone by the value itself, others by their text.
func substitute(input any, values map[string]any) any {
	switch input := input.(type) {
	case string:
		if found := placeholders.FindStringSubmatch(input); found != nil && found[0] == strings.TrimSpace(input) {
			if value, ok := values[found[1]]; ok {
				return value
			}
		}
		return placeholders.ReplaceAllStringFunc(input, func(match string) string {
			if value, ok := values[placeholders.FindStringSubmatch(match)[1]]; ok {
				return asText(value)
			}
			return match
		})
	case []any:
		var all []any
		for _, item := range input {
			switch value := substitute(item, values).(type) {
			case []string:
				for _, text := range value {
					all = append(all, text)
				}
			case []any:
				all = append(all, value...)
			default:
				all = append(all, value)
			}
		}
		return all
	}
	return input
}

// asText is a value as a document's text has it.
func asText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(value)
	case nil:
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

// asList is a value as lines of a script.
func asList(value any) []string {
	switch value := value.(type) {
	case []string:
		return value
	case []any:
		all := make([]string, len(value))
		for i, item := range value {
			all[i] = asText(item)
		}
		return all
	}
	return []string{asText(value)}
}

// reformatted is a content as JSON or YAML, whichever it was written in.
func reformatted(v *documentVersion, format types.DocumentFormat) (string, error) {
	var tree any
	if err := yaml.Unmarshal([]byte(v.Content), &tree); err != nil { // JSON is YAML, too
		return "", errInvalidDocumentContent("YAML not well-formed. " + err.Error())
	}
	switch format {
	case types.DocumentFormatYaml:
		text, err := yaml.Marshal(tree)
		return string(text), err
	case types.DocumentFormatJson:
		text, err := json.MarshalIndent(tree, "", "  ")
		return string(text), err
	}
	return v.Content, nil
}
