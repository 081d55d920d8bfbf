package iam

import (
	"errors"
	"testing"
)

// TestMemberAccountThatCannotBe: an account whose role can have no such name, or whose number somebody else has, is refused
// with an API error, and nothing is written.
func TestMemberAccountThatCannotBe(t *testing.T) {
	s, _ := cloud(t)
	const management, number = "111122223333", "444455556666"
	wanted := AccountInput{ID: number, Name: "member", Email: "member@example.com"}
	if err := s.CreateMemberAccount(t.Context(), wanted, "not a name", management); !isCode(err, "ValidationError") {
		t.Errorf("the role's name: %v", err)
	}
	if made, err := s.Account(t.Context(), number); !errors.Is(err, ErrNoAccount) {
		t.Errorf("it was made: %+v, %v", made, err)
	}
	for range 2 {
		if err := s.CreateMemberAccount(t.Context(), wanted, "Access", management); err != nil {
			t.Fatal(err)
		}
	}
	wanted.Email = "other@example.com"
	if err := s.CreateMemberAccount(t.Context(), wanted, "Access", management); !isCode(err, "EntityAlreadyExists") {
		t.Errorf("the number: %v", err)
	}
}
