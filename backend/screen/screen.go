// Package screen draws what a text console shows: the picture that somebody before the machine would see.
//
//	bytes that were printed -> rows of characters, as a terminal keeps them -> 800 x 600 dots, light grey on black -> JPEG
//
// The rows are those of Linux's console on such a display: 37 of 100 characters. It follows the control characters and
// sequences that move the cursor or erase; colours and everything else that terminals can do it leaves out. Characters
// beyond ASCII are shown as the sign for one that the font has not.
package screen

import (
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

const (
	// Width and Height are the picture's, in dots.
	Width, Height = 800, 600

	cellWidth, cellHeight = 8, 16
	columns, rows         = Width / cellWidth, Height / cellHeight
)

// Draw writes the picture of a console that printed the text, as a JPEG.
func Draw(w io.Writer, text []byte) error {
	t := &terminal{}
	t.print(text)
	return jpeg.Encode(w, t.picture(), &jpeg.Options{Quality: 85})
}

// terminal is what is on the screen. A cell of 0 is empty.
type terminal struct {
	cells       [rows][columns]rune
	row, column int // of the cursor; column may be behind the last one, where the next character begins a new row
}

const escape = 0x1b

func (t *terminal) print(text []byte) {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == escape {
			text = text[t.control(text):]
			continue
		}
		text = text[size:]
		switch {
		case r == '\n':
			t.down()
			t.column = 0
		case r == '\r':
			t.column = 0
		case r == '\b':
			t.column = max(0, min(t.column, columns-1)-1)
		case r == '\t':
			t.column = min(columns-1, t.column/8*8+8)
		case r < ' ' || r == 0x7f:
		default:
			if t.column == columns {
				t.down()
				t.column = 0
			}
			t.cells[t.row][t.column] = r
			t.column++
		}
	}
}

// down goes to the next row; behind the last one all move up.
func (t *terminal) down() {
	if t.row++; t.row == rows {
		copy(t.cells[:], t.cells[1:])
		t.cells[rows-1] = [columns]rune{}
		t.row = rows - 1
	}
}

// control follows the sequence that the text begins with and answers its length; what is cut off is taken whole.
// ECMA-48: ESC [ parameters (0x30 to 0x3f) intermediates (0x20 to 0x2f) final; ESC ] text, ended by BEL or ESC \.
func (t *terminal) control(text []byte) int {
	if len(text) < 2 {
		return len(text)
	}
	switch text[1] {
	case '[':
		for i := 2; i < len(text); i++ {
			if text[i] >= 0x40 {
				t.move(string(text[2:i]), text[i])
				return i + 1
			}
		}
		return len(text)
	case ']':
		for i := 2; i < len(text); i++ {
			if text[i] == 0x07 {
				return i + 1
			}
			if text[i] == '\\' && text[i-1] == escape {
				return i + 1
			}
		}
		return len(text)
	case '(', ')', '#', '%': // these take one character more
		return min(3, len(text))
	}
	return 2
}

// move follows the sequences that move the cursor or erase.
func (t *terminal) move(parameters string, final byte) {
	number := func(i, otherwise int) int {
		parts := strings.Split(parameters, ";")
		if i < len(parts) {
			if n, err := strconv.Atoi(parts[i]); err == nil && n > 0 {
				return min(n, rows*columns) // more than any screen has
			}
		}
		return otherwise
	}
	here := min(t.column, columns-1)
	switch final {
	case 'A':
		t.row = max(0, t.row-number(0, 1))
	case 'B':
		t.row = min(rows-1, t.row+number(0, 1))
	case 'C':
		t.column = min(columns-1, here+number(0, 1))
	case 'D':
		t.column = max(0, here-number(0, 1))
	case 'H', 'f':
		t.row, t.column = min(rows, number(0, 1))-1, min(columns, number(1, 1))-1
	case 'J':
		switch number(0, 0) {
		case 0:
			clear(t.cells[t.row][here:])
			clear(t.cells[t.row+1:])
		case 1:
			clear(t.cells[:t.row])
			clear(t.cells[t.row][:here+1])
		default:
			clear(t.cells[:])
		}
	case 'K':
		switch number(0, 0) {
		case 0:
			clear(t.cells[t.row][here:])
		case 1:
			clear(t.cells[t.row][:here+1])
		default:
			clear(t.cells[t.row][:])
		}
	}
}

func (t *terminal) picture() image.Image {
	picture := image.NewGray(image.Rect(0, 0, Width, Height))
	light := image.NewUniform(color.Gray{Y: 0xaa})
	face := basicfont.Face7x13
	pen := font.Drawer{Dst: picture, Src: light, Face: face}
	for y, row := range t.cells {
		for x, r := range row {
			if r == 0 || r == ' ' {
				continue
			}
			pen.Dot = fixed.P(x*cellWidth, y*cellHeight+(cellHeight-face.Height)/2+face.Ascent)
			pen.DrawString(string(r))
		}
	}
	cursor := image.Rect(0, cellHeight-2, cellWidth, cellHeight).Add(image.Pt(min(t.column, columns-1)*cellWidth, t.row*cellHeight))
	draw.Draw(picture, cursor, light, image.Point{}, draw.Src)
	return picture
}
