package ssm

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// schedule says when something runs.
// AWS: "Reference: Cron and rate expressions for Systems Manager".
type schedule struct {
	every time.Duration // of rate(N UNIT)
	at    time.Time     // of at(TIME): once
	cron  *cronTimes
}

// cronTimes are the times of a cron expression, in UTC.
type cronTimes struct {
	minutes, hours, months map[int]bool
	years                  map[int]bool // nil for all
	days                   func(day time.Time) bool
}

const lastYear = 2199

// parseSchedule reads an expression; nil for one that is none.
func parseSchedule(text string) *schedule {
	kind, rest, ok := strings.Cut(text, "(")
	inner, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed {
		return nil
	}
	switch kind {
	case "rate":
		count, unit, _ := strings.Cut(inner, " ")
		units := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}
		n, err := strconv.Atoi(count)
		every := units[strings.TrimSuffix(unit, "s")]
		if err != nil || n < 1 || every == 0 || n > int(math.MaxInt64/every) || strings.HasSuffix(unit, "s") == (n == 1) {
			return nil
		}
		return &schedule{every: time.Duration(n) * every}
	case "at":
		at, err := time.Parse("2006-01-02T15:04:05", inner)
		if err != nil || at.IsZero() {
			return nil
		}
		return &schedule{at: at}
	case "cron":
		if times := parseCron(strings.Fields(inner)); times != nil {
			return &schedule{cron: times}
		}
	}
	return nil
}

// parseCron reads MINUTES HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK YEAR, with a leading field of seconds, which is 0, or without.
func parseCron(fields []string) *cronTimes {
	if len(fields) == 7 && fields[0] == "0" {
		fields = fields[1:]
	}
	if len(fields) != 6 {
		return nil
	}
	t := &cronTimes{
		minutes: cronSet(fields[0], 0, 59, nil), hours: cronSet(fields[1], 0, 23, nil),
		months: cronSet(fields[3], 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}),
	}
	years := cronSet(fields[5], 1970, lastYear, nil)
	switch {
	case t.minutes == nil || t.hours == nil || t.months == nil || years == nil:
		return nil
	case fields[5] != "*":
		t.years = years
	}
	// One of the two says nothing, which is ?.
	switch ofMonth, ofWeek := fields[2], fields[4]; {
	case ofWeek == "?":
		t.days = daysOfMonth(ofMonth)
	case ofMonth == "?":
		t.days = daysOfWeek(ofWeek)
	}
	if t.days == nil {
		return nil
	}
	return t
}

// cronSet reads a list of values, ranges and steps; nil where it is none.
func cronSet(text string, least, most int, names []string) map[int]bool {
	number := func(word string) (int, bool) {
		if i := slices.Index(names, strings.ToUpper(word)); i >= 0 {
			return i + least, true
		}
		n, err := strconv.Atoi(word)
		return n, err == nil && n >= least && n <= most
	}
	set := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		part, step, stepped := strings.Cut(part, "/")
		every := 1
		if stepped {
			n, err := strconv.Atoi(step)
			if err != nil || n < 1 {
				return nil
			}
			every = n
		}
		first, last, ranged := strings.Cut(part, "-")
		from, to := least, most
		if part != "*" {
			var ok, also bool
			from, ok = number(first)
			switch {
			case ranged:
				to, also = number(last)
			case !stepped:
				to, also = from, true
			default: // from there on
				also = true
			}
			if !ok || !also || from > to {
				return nil
			}
		}
		for n := from; n <= to; n += every {
			set[n] = true
		}
	}
	return set
}

// daysOfMonth reads that field: besides numbers L, the last day, and W, the day of work that is next to one.
func daysOfMonth(text string) func(time.Time) bool {
	last := func(day time.Time) int { return time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day() }
	if text == "L" {
		return func(day time.Time) bool { return day.Day() == last(day) }
	}
	if near, ok := strings.CutSuffix(text, "W"); ok {
		n, err := strconv.Atoi(near)
		if near == "L" {
			n, err = 31, nil
		}
		if err != nil || n < 1 || n > 31 {
			return nil
		}
		return func(day time.Time) bool {
			wanted := time.Date(day.Year(), day.Month(), min(n, last(day)), 0, 0, 0, 0, time.UTC)
			shift := map[time.Weekday]int{time.Saturday: -1, time.Sunday: 1}[wanted.Weekday()]
			if moved := wanted.AddDate(0, 0, shift); moved.Month() != wanted.Month() {
				shift = map[time.Weekday]int{time.Saturday: 2, time.Sunday: -2}[wanted.Weekday()] // it stays in its month
			}
			return day.Day() == wanted.Day()+shift
		}
	}
	set := cronSet(text, 1, 31, nil)
	if set == nil {
		return nil
	}
	return func(day time.Time) bool { return set[day.Day()] }
}

// daysOfWeek reads that field, in which Sunday is 1: besides numbers and names 3#2, the second Tuesday, and 3L, the last.
func daysOfWeek(text string) func(time.Time) bool {
	names := []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	of := func(day time.Time) int { return int(day.Weekday()) + 1 }
	single := func(word string) int {
		for n := range cronSet(word, 1, 7, names) {
			if !strings.ContainsAny(word, ",-*/") {
				return n
			}
		}
		return 0
	}
	if text == "L" {
		text = "SAT"
	}
	if word, count, ok := strings.Cut(text, "#"); ok {
		wanted := single(word)
		n, err := strconv.Atoi(count)
		if wanted == 0 || err != nil || n < 1 || n > 5 {
			return nil
		}
		return func(day time.Time) bool { return of(day) == wanted && (day.Day()-1)/7 == n-1 }
	}
	if word, ok := strings.CutSuffix(text, "L"); ok {
		wanted := single(word)
		if wanted == 0 {
			return nil
		}
		return func(day time.Time) bool { return of(day) == wanted && day.AddDate(0, 0, 7).Month() != day.Month() }
	}
	set := cronSet(text, 1, 7, names)
	if set == nil {
		return nil
	}
	return func(day time.Time) bool { return set[of(day)] }
}

// next answers the first time after one, of a schedule that began at another; the zero time where there is none.
func (s *schedule) next(after, began time.Time) time.Time {
	switch {
	case s.every > 0:
		if after.Before(began) {
			return began.Add(s.every)
		}
		return began.Add((after.Sub(began)/s.every + 1) * s.every)
	case !s.at.IsZero():
		if s.at.After(after) {
			return s.at
		}
		return time.Time{}
	}
	return s.cron.next(after)
}

func (c *cronTimes) next(after time.Time) time.Time {
	from := after.UTC().Truncate(time.Minute).Add(time.Minute)
	// Every date comes again on the same weekday within 28 years, but for years without leap day; 40 are enough for all.
	for day := from; day.Year() <= min(from.Year()+40, lastYear); day = time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, time.UTC) {
		if c.years != nil && !c.years[day.Year()] || !c.months[int(day.Month())] || !c.days(day) {
			continue
		}
		for hour := day.Hour(); hour < 24; hour++ {
			minute := 0
			if hour == day.Hour() {
				minute = day.Minute()
			}
			for ; c.hours[hour] && minute < 60; minute++ {
				if c.minutes[minute] {
					return time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, time.UTC)
				}
			}
		}
	}
	return time.Time{}
}
