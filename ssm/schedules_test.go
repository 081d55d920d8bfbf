package ssm

import (
	"testing"
	"time"
)

func TestSchedules(t *testing.T) {
	const form = "2006-01-02 15:04"
	at := func(text string) time.Time {
		when, err := time.Parse(form, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	const began = "2026-03-01 10:00" // a Sunday
	for _, c := range []struct{ text, after, want string }{
		{"rate(30 minutes)", began, "2026-03-01 10:30"},
		{"rate(30 minutes)", "2026-03-01 10:29", "2026-03-01 10:30"},
		{"rate(1 hour)", "2026-03-04 12:30", "2026-03-04 13:00"},
		{"rate(7 days)", "2026-03-08 10:00", "2026-03-15 10:00"},
		{"at(2026-05-01T08:00:00)", began, "2026-05-01 08:00"},
		{"at(2026-02-01T08:00:00)", began, ""},
		{"cron(0 16 ? * TUE *)", began, "2026-03-03 16:00"},
		{"cron(0 16 ? * TUE *)", "2026-03-03 16:00", "2026-03-10 16:00"},
		{"cron(0 0/30 * 1/1 * ? *)", "2026-03-01 10:05", "2026-03-01 10:30"},
		{"cron(0/15 * * * ? *)", "2026-03-01 23:50", "2026-03-02 00:00"},
		{"cron(15 10 ? * * *)", began, "2026-03-01 10:15"},
		{"cron(0 18 ? * MON-FRI *)", began, "2026-03-02 18:00"},
		{"cron(0 2 ? * 1,7 *)", began, "2026-03-07 02:00"},
		{"cron(0 2 ? * THU#3 *)", began, "2026-03-19 02:00"},
		{"cron(0 2 ? * THU#5 *)", began, "2026-04-30 02:00"},
		{"cron(0 2 ? * FRIL *)", began, "2026-03-27 02:00"},
		{"cron(30 9 1 * ? *)", began, "2026-04-01 09:30"},
		{"cron(30 9 L * ? *)", began, "2026-03-31 09:30"},
		{"cron(0 8 15W * ? *)", began, "2026-03-16 08:00"},  // the 15th is a Sunday
		{"cron(0 8 1W AUG ? *)", began, "2026-08-03 08:00"}, // the 1st is a Saturday, and July has no part in it
		{"cron(0 8 LW 5 ? *)", began, "2026-05-29 08:00"},
		{"cron(0 0 29 2 ? *)", began, "2028-02-29 00:00"},
		{"cron(0 0 1 1 ? 2030)", began, "2030-01-01 00:00"},
		{"cron(0 0 1 1 ? 2020-2025)", began, ""},
		{"cron(0 0 30 2 ? *)", began, ""},
	} {
		s := parseSchedule(c.text)
		if s == nil {
			t.Errorf("%s is none", c.text)
			continue
		}
		got := s.next(at(c.after), at(began))
		if text := got.Format(form); text != c.want && (c.want != "" || !got.IsZero()) {
			t.Errorf("%s after %s: %s, not %q", c.text, c.after, text, c.want)
		}
	}
	for _, wrong := range []string{
		"", "rate(30 minutes", "rate(0 hours)", "rate(1 hours)", "rate(2 hour)", "rate(x days)", "rate(2 weeks)", "rate(110000 days)", "rate(9223372036854775807 minutes)",
		"at(tomorrow)", "at(0001-01-01T00:00:00)", "every(2 days)", "cron()", "cron(0 16 * * *)",
		"cron(0 16 * * * *)", "cron(0 16 ? * ? *)", "cron(60 16 ? * TUE *)", "cron(0 24 ? * TUE *)", "cron(0 16 ? 13 TUE *)", "cron(0 16 ? * TUO *)", "cron(0 16 ? * TUE#6 *)", "cron(0 16 32 * ? *)",
		"cron(0 16 0W * ? *)", "cron(1 0 16 ? * TUE *)", "cron(0/0 16 ? * TUE *)", "cron(0 16-12 ? * TUE *)", "cron(0 16 ? * TUE 1900)", "cron(0 16 ? * MON,TUE#2 *)",
	} {
		if parseSchedule(wrong) != nil {
			t.Errorf("%q is a schedule", wrong)
		}
	}
}
