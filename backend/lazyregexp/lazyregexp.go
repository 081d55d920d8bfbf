// Package lazyregexp holds regular expressions that are compiled when they are first used.
//
// A program that serves many services has many of them, counted repetitions make them large, and most runs need few:
// compiled as package variables they cost every start, that of each command line too, more than ten milliseconds.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a regular expression. It is safe for concurrent use.
type Regexp struct {
	text     string
	compile  sync.Once
	compiled *regexp.Regexp
}

// New answers the expression of the text (package regexp has the syntax). A text that does not compile panics at its first
// use; a rule of the house compiles all of them in a test.
func New(text string) *Regexp { return &Regexp{text: text} }

func (r *Regexp) regexp() *regexp.Regexp {
	r.compile.Do(func() { r.compiled = regexp.MustCompile(r.text) })
	return r.compiled
}

// MatchString is that of regexp.Regexp.
func (r *Regexp) MatchString(s string) bool { return r.regexp().MatchString(s) }

// FindStringSubmatch is that of regexp.Regexp.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.regexp().FindStringSubmatch(s) }

// ReplaceAllString is that of regexp.Regexp.
func (r *Regexp) ReplaceAllString(s, with string) string { return r.regexp().ReplaceAllString(s, with) }

// ReplaceAllStringFunc is that of regexp.Regexp.
func (r *Regexp) ReplaceAllStringFunc(s string, with func(string) string) string {
	return r.regexp().ReplaceAllStringFunc(s, with)
}
