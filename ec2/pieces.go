package ec2

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// pieces hands out pointers to texts, numbers and so on, which are allocated many at a time: AWS's types hold a pointer to
// each, and a listing of a thousand instances has a hundred thousand of them. What one answer is made of ends together.
type pieces struct {
	texts   piecesOf[string]
	flags   piecesOf[bool]
	numbers piecesOf[int32]
	times   piecesOf[time.Time]
}

type piecesOf[T any] struct {
	left []T
	next int // how many are allocated when none is left
}

const mostPieces = 256

func (p *piecesOf[T]) of(value T) *T {
	if len(p.left) == 0 {
		p.next = min(max(2*p.next, 8), mostPieces)
		p.left = make([]T, p.next)
	}
	at := &p.left[0]
	p.left = p.left[1:]
	*at = value
	return at
}

func (t tx) text(value string) *string {
	if t.pieces == nil {
		return aws.String(value)
	}
	return t.pieces.texts.of(value)
}

// optional is text, and nil for "".
func (t tx) optional(value string) *string {
	if value == "" {
		return nil
	}
	return t.text(value)
}

func (t tx) flag(value bool) *bool {
	if t.pieces == nil {
		return aws.Bool(value)
	}
	return t.pieces.flags.of(value)
}

func (t tx) number(value int32) *int32 {
	if t.pieces == nil {
		return aws.Int32(value)
	}
	return t.pieces.numbers.of(value)
}

func (t tx) time(value time.Time) *time.Time {
	if t.pieces == nil {
		return aws.Time(value)
	}
	return t.pieces.times.of(value)
}
