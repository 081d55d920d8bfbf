package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// perBlock is how many documents are compressed together: more is smaller, fewer is faster to read.
const perBlock = 16

type given struct {
	Path, DefaultVersionID string
	CreateDate, UpdateDate time.Time
	Document               json.RawMessage
}

// UnmarshalJSON knows the member that Go would spell otherwise.
func (g *given) UnmarshalJSON(raw []byte) error {
	var plain struct {
		Path, DefaultVersionId string
		CreateDate, UpdateDate time.Time
		Document               json.RawMessage
	}
	if err := json.Unmarshal(raw, &plain); err != nil {
		return err
	}
	*g = given{plain.Path, plain.DefaultVersionId, plain.CreateDate, plain.UpdateDate, plain.Document}
	return nil
}

// entry is a row of the index; times are in seconds since 1970.
type entry struct {
	Name, Path       string
	Created, Updated int64
	Version          int
}

type index struct {
	Policies []entry
	// Blocks are the lengths of the blocks.
	Blocks   []int
	PerBlock int
}

func main() {
	if err := run(os.Stdin, "iam/aws_policies.bin"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(from io.Reader, target string) error {
	var all map[string]given
	if err := json.NewDecoder(from).Decode(&all); err != nil {
		return err
	}
	x := index{PerBlock: perBlock}
	var blocks []byte
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		g := all[name]
		version, err := strconv.Atoi(strings.TrimPrefix(g.DefaultVersionID, "v"))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		text, err := ordered(g.Document)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		x.Policies = append(x.Policies, entry{name, g.Path, g.CreateDate.Unix(), g.UpdateDate.Unix(), version})
		texts = append(texts, text)
	}
	for block := range slices.Chunk(texts, perBlock) {
		packed, err := pack(block)
		if err != nil {
			return err
		}
		x.Blocks = append(x.Blocks, len(packed))
		blocks = append(blocks, packed...)
	}
	packed, err := pack(x)
	if err != nil {
		return err
	}
	file := binary.BigEndian.AppendUint32(nil, uint32(len(packed)))
	return os.WriteFile(target, slices.Concat(file, packed, blocks), 0o600)
}

func pack(value any) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(value); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// elements are in the order in which people write them; the rest follows by name.
var elements = []string{"Version", "Id", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition", "Statement"}

// ordered writes a document compactly.
func ordered(document json.RawMessage) (string, error) {
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return "", err
	}
	var b strings.Builder
	err := write(&b, value)
	return b.String(), err
}

func write(b *strings.Builder, value any) error {
	switch v := value.(type) {
	case map[string]any:
		keys := slices.SortedFunc(maps.Keys(v), func(a, c string) int {
			return (rank(a)-rank(c))*1000 + strings.Compare(a, c)
		})
		b.WriteByte('{')
		for i, key := range keys {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, key); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := write(b, v[key]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, element); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		var plain bytes.Buffer
		encoder := json.NewEncoder(&plain)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(v); err != nil {
			return err
		}
		b.WriteString(strings.TrimSpace(plain.String()))
	}
	return nil
}

func rank(element string) int {
	if i := slices.Index(elements, element); i >= 0 {
		return i
	}
	return len(elements)
}
