package policy

import (
	"encoding/base64"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Lookup answers the values of a context key, whose name is in lower case; none where the request does not have it.
type Lookup func(key string) []string

// comparison is what an operator compares, without its negation.
type comparison uint8

const (
	stringEquals comparison = iota
	stringEqualsIgnoreCase
	stringLike
	numericEquals
	numericLess
	numericLessEquals
	numericGreater
	numericGreaterEquals
	dateEquals
	dateLess
	dateLessEquals
	dateGreater
	dateGreaterEquals
	boolEquals
	binaryEquals
	ipAddress
	arnLike
	null
)

// operator is a comparison and whether it is negated.
type operator struct {
	comparison comparison
	negated    bool
}

// operators by their names in lower case: IAM does not mind the case.
// AWS: "IAM JSON policy elements: Condition operators". ArnEquals and ArnLike behave identically.
var operators = map[string]operator{
	"stringequals":              {stringEquals, false},
	"stringnotequals":           {stringEquals, true},
	"stringequalsignorecase":    {stringEqualsIgnoreCase, false},
	"stringnotequalsignorecase": {stringEqualsIgnoreCase, true},
	"stringlike":                {stringLike, false},
	"stringnotlike":             {stringLike, true},
	"numericequals":             {numericEquals, false},
	"numericnotequals":          {numericEquals, true},
	"numericlessthan":           {numericLess, false},
	"numericlessthanequals":     {numericLessEquals, false},
	"numericgreaterthan":        {numericGreater, false},
	"numericgreaterthanequals":  {numericGreaterEquals, false},
	"dateequals":                {dateEquals, false},
	"datenotequals":             {dateEquals, true},
	"datelessthan":              {dateLess, false},
	"datelessthanequals":        {dateLessEquals, false},
	"dategreaterthan":           {dateGreater, false},
	"dategreaterthanequals":     {dateGreaterEquals, false},
	"bool":                      {boolEquals, false},
	"binaryequals":              {binaryEquals, false},
	"ipaddress":                 {ipAddress, false},
	"notipaddress":              {ipAddress, true},
	"arnequals":                 {arnLike, false},
	"arnlike":                   {arnLike, false},
	"arnnotequals":              {arnLike, true},
	"arnnotlike":                {arnLike, true},
	"null":                      {null, false},
}

// quantifier says how many of a key's values must match.
type quantifier uint8

const (
	plain quantifier = iota
	forAllValues
	forAnyValue
)

// condition is one operator on one key.
type condition struct {
	operator
	quantifier quantifier
	ifExists   bool
	key        string // lower case
	name       string // as written, without a tag's case lost
	values     []conditionValue
}

// conditionValue is one value of a policy, compiled for its operator. One that cannot be what the operator compares
// matches nothing.
type conditionValue struct {
	text   template // strings
	arn    arnPattern
	number float64
	time   time.Time
	prefix netip.Prefix
	valid  bool
}

// parseOperator reads "ForAnyValue:StringLikeIfExists".
func parseOperator(name string) (op operator, set quantifier, ifExists, ok bool) {
	name = strings.ToLower(name)
	if prefix, rest, found := strings.Cut(name, ":"); found {
		switch prefix {
		case "forallvalues":
			set = forAllValues
		case "foranyvalue":
			set = forAnyValue
		default:
			return op, set, false, false
		}
		name = rest
	}
	name, ifExists = strings.CutSuffix(name, "ifexists")
	op, ok = operators[name]
	// AWS: IfExists can end the name of any operator except Null.
	return op, set, ifExists, ok && (!ifExists || op.comparison != null)
}

func compileValue(c comparison, text string, version Version) conditionValue {
	v := conditionValue{valid: true}
	var err error
	switch c {
	case stringEquals, stringEqualsIgnoreCase:
		v.text = compile(text, version, false)
	case stringLike:
		v.text = compile(text, version, true)
	case arnLike:
		v.arn = compileARN(text, version)
	case numericEquals, numericLess, numericLessEquals, numericGreater, numericGreaterEquals:
		v.number, v.valid = parseNumber(text)
	case dateEquals, dateLess, dateLessEquals, dateGreater, dateGreaterEquals:
		v.time, v.valid = parseDate(text)
	case ipAddress:
		v.prefix, err = parsePrefix(text)
		v.valid = err == nil
	case boolEquals, null:
		v.text.text = strings.ToLower(text)
		v.valid = v.text.text == "true" || v.text.text == "false"
	case binaryEquals:
		v.text.text = text
		_, err = base64.StdEncoding.DecodeString(text)
		v.valid = err == nil
	}
	return v
}

func parseNumber(text string) (float64, bool) {
	number, err := strconv.ParseFloat(text, 64)
	return number, err == nil && !math.IsNaN(number) && !math.IsInf(number, 0)
}

// dateLayouts are the forms of W3C's "Date and Time Formats", a profile of ISO 8601; the fraction is read with each.
var dateLayouts = []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02", "2006-01", "2006",
	"2006-01-02T15:04:05Z0700", "20060102T150405Z"}

// parseDate reads a W3C date or seconds since the epoch. A bare year of four digits is a year.
func parseDate(text string) (time.Time, bool) {
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < 1e12 {
		whole, part := math.Modf(seconds)
		return time.Unix(int64(whole), int64(part*1e9)), true
	}
	return time.Time{}, false
}

func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return address.Prefix(address.BitLen())
}

// holds tells whether the request satisfies the condition.
// AWS: "Conditions with multiple context keys or values", "Set operators for multivalued context keys".
func (c *condition) holds(context Lookup) bool {
	values := context(c.key)
	if c.comparison == null {
		return c.nullHolds(len(values) == 0)
	}
	switch c.quantifier {
	case forAllValues:
		// No value, or nothing but empty ones, satisfies it: there is none that does not match.
		for _, v := range values {
			if !c.emptySet(values) && c.matches(v, context) == c.negated {
				return false
			}
		}
		return true
	case forAnyValue:
		if c.emptySet(values) {
			return c.ifExists && len(values) == 0
		}
		for _, v := range values {
			if c.matches(v, context) != c.negated {
				return true
			}
		}
		return false
	}
	if len(values) == 0 {
		// A key that is not there is not equal to anything: negated operators match.
		return c.ifExists || c.negated
	}
	for _, v := range values {
		if c.matches(v, context) {
			return !c.negated
		}
	}
	return c.negated
}

func (c *condition) emptySet(values []string) bool {
	for _, v := range values {
		if v != "" {
			return false
		}
	}
	return true
}

func (c *condition) nullHolds(absent bool) bool {
	for i := range c.values {
		if v := &c.values[i]; v.valid && (v.text.text == "true") == absent {
			return true
		}
	}
	return false
}

// matches tells whether one value of the request matches one of the policy's.
func (c *condition) matches(value string, context Lookup) bool {
	for i := range c.values {
		if v := &c.values[i]; v.valid && c.match(v, value, context) {
			return true
		}
	}
	return false
}

func (c *condition) match(v *conditionValue, value string, context Lookup) bool {
	switch c.comparison {
	case stringLike:
		return v.text.matchWild(value, context)
	case stringEquals, stringEqualsIgnoreCase:
		text, ok := v.text.expand(context)
		if c.comparison == stringEquals {
			return ok && text == value
		}
		return ok && strings.EqualFold(text, value)
	case arnLike:
		parts := splitARN(value)
		return v.arn.match(&parts, context)
	case boolEquals:
		return strings.EqualFold(v.text.text, value)
	case binaryEquals:
		return v.text.text == value
	case ipAddress:
		address, err := netip.ParseAddr(value)
		return err == nil && v.prefix.Contains(address.Unmap())
	case dateEquals, dateLess, dateLessEquals, dateGreater, dateGreaterEquals:
		t, ok := parseDate(value)
		return ok && compares(c.comparison-dateEquals, t.Compare(v.time))
	case numericEquals, numericLess, numericLessEquals, numericGreater, numericGreaterEquals:
		number, ok := parseNumber(value)
		order := 0
		switch {
		case number < v.number:
			order = -1
		case number > v.number:
			order = 1
		}
		return ok && compares(c.comparison-numericEquals, order)
	}
	return false
}

// compares reads an order as one of equals, less, less or equal, greater, greater or equal.
func compares(how comparison, order int) bool {
	switch how {
	case 0:
		return order == 0
	case 1:
		return order < 0
	case 2:
		return order <= 0
	case 3:
		return order > 0
	}
	return order >= 0
}

// keys adds the context keys that the condition needs.
func (c *condition) keys(add func(string)) {
	add(c.key)
	for i := range c.values {
		c.values[i].text.keys(add)
		c.values[i].arn.keys(add)
	}
}
