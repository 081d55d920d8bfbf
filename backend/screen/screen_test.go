package screen

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"strings"
	"testing"
)

// shown are the rows of the screen without what is empty at their ends, and the cursor.
func shown(text string) (string, [2]int) {
	t := &terminal{}
	t.print([]byte(text))
	var lines []string
	for _, row := range t.cells {
		line := strings.Map(func(r rune) rune {
			if r == 0 {
				return ' '
			}
			return r
		}, string(row[:]))
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n"), [2]int{t.row, t.column}
}

func TestTerminal(t *testing.T) {
	long := strings.Repeat("x", columns)
	var scrolled, left []string
	for i := range 50 {
		scrolled = append(scrolled, fmt.Sprint("line ", i))
	}
	left = scrolled[50-rows:]
	for _, c := range []struct {
		name, text, want string
		row, column      int
	}{
		{"nothing", "", "", 0, 0},
		{"lines", "one\r\ntwo\n", "one\ntwo", 2, 0},
		{"a row that is full", long, long, 0, columns},
		{"the next row", long + "y", long + "\ny", 1, 1},
		{"a full row and a line's end", long + "\ny", long + "\ny", 1, 1},
		{"scrolled", strings.Join(scrolled, "\n"), strings.Join(left, "\n"), rows - 1, 7},
		{"over it", "12345\rab", "ab345", 0, 2},
		{"back", "ab\b\bc", "cb", 0, 1},
		{"tabs", "a\tb\n\t\tc", "a       b\n                c", 1, 17},
		{"a tab at the end", strings.Repeat("\t", 20) + "z", strings.Repeat(" ", columns-1) + "z", 0, columns},
		{"bells and the like", "a\a\x00\x7fb", "ab", 0, 2},
		{"colours", "\x1b[1;31mred\x1b[0m", "red", 0, 3},
		{"a title", "\x1b]0;title\aa\x1b]0;other\x1b\\b", "ab", 0, 2},
		{"a character set", "\x1b(Ba\x1b=b", "ab", 0, 2},
		{"cleared", "old\nold\x1b[H\x1b[Jnew", "new", 0, 3},
		{"all of it", "old\nold\x1b[2Jnew", "\n   new", 1, 6},
		{"up to here", "one\ntwo\x1b[2;2H\x1b[1J", "\n  o", 1, 1},
		{"to a place", "\x1b[3;5Hx", "\n\n    x", 2, 5},
		{"beyond the last place", "\x1b[999;999Hx", strings.Repeat("\n", rows-1) + strings.Repeat(" ", columns-1) + "x", rows - 1, columns},
		{"steps", "ab\x1b[2B\x1b[Cc\x1b[9A\x1b[99Dd", "db\n\n   c", 0, 1},
		{"the rest of a row", "hello\x1b[4D\x1b[K", "h", 0, 1},
		{"the begin of a row", "hello\x1b[4D\x1b[1K", "  llo", 0, 1},
		{"a whole row", "hello\x1b[2Kx", "     x", 0, 6},
		{"cut off", "a\x1b", "a", 0, 1},
		{"cut off in a sequence", "a\x1b[12", "a", 0, 1},
		{"cut off in a title", "a\x1b]0;tit", "a", 0, 1},
		{"no UTF-8", "a\xff\xc3b", "a\ufffd\ufffdb", 0, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, cursor := shown(c.text)
			if got != c.want || cursor != [2]int{c.row, c.column} {
				t.Errorf("%q at %v, not %q at %v", got, cursor, c.want, [2]int{c.row, c.column})
			}
		})
	}
}

func FuzzTerminal(f *testing.F) {
	f.Add([]byte("\x1b[5;5Hx\x1b[J\x1b[1K\t\b\n"))
	f.Add([]byte("\n\x1b[9223372036854775807Bx"))
	f.Add([]byte("a\x1b[9223372036854775807Cx"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		(&terminal{}).print(text) // nothing that is printed brings it out of its bounds
	})
}

// TestPicture: dots are where characters are, and nowhere else.
func TestPicture(t *testing.T) {
	var out bytes.Buffer
	if err := Draw(&out, []byte("\n  M\n")); err != nil {
		t.Fatal(err)
	}
	picture, err := jpeg.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X != 800 || size.Y != 600 {
		t.Errorf("its size is %v", size)
	}
	lit := map[[2]int]int{}
	for y := range Height {
		for x := range Width {
			if r, _, _, _ := picture.At(x, y).RGBA(); r > 0x6000 {
				lit[[2]int{y / cellHeight, x / cellWidth}]++
			}
		}
	}
	letter, cursor := lit[[2]int{1, 2}], lit[[2]int{2, 0}]
	if len(lit) != 2 || letter < 15 || cursor != 2*cellWidth {
		t.Errorf("lit dots by row and column: %v", lit)
	}
}
