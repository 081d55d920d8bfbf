package session

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func TestMessageBytes(t *testing.T) {
	m := message{kind: typeOutput, sequence: 258, flags: 1, payloadType: payloadData, payload: []byte("hi")}
	copy(m.id[:], "0123456789abcdef")
	got := m.encode(time.UnixMilli(0x0102030405))
	// The layout that the plugin reads: numbers are big-endian, the halves of the id are swapped.
	want := "00000074" + hex.EncodeToString([]byte(typeOutput+strings.Repeat(" ", 32-len(typeOutput)))) + "00000001" + "0000000102030405" + "0000000000000102" + "0000000000000001" +
		hex.EncodeToString([]byte("89abcdef01234567")) + "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4" + "00000001" + "00000002" + "6869"
	if hex.EncodeToString(got) != want {
		t.Errorf("\n%x, not\n%s", got, want)
	}
	back, err := decode(got)
	if err != nil || back.kind != m.kind || back.sequence != m.sequence || back.id != m.id || back.flags != 1 || !bytes.Equal(back.payload, m.payload) {
		t.Errorf("%v %+v", err, back)
	}
	if m.name() != "30313233-3435-3637-3839-616263646566" {
		t.Errorf("name %s", m.name())
	}
}

func TestMalformedMessages(t *testing.T) {
	good := newMessage(typeInput, 0, payloadData, []byte("payload")).encode(time.Now())
	change := func(at int, value byte) []byte {
		bad := bytes.Clone(good)
		bad[at] = value
		return bad
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "a part of the header": good[:headerSize-1], "a part of the payload": good[:len(good)-1], "more than the payload": append(bytes.Clone(good), 0),
		"another header length": change(3, 1), "another digest": change(80, good[80]^1), "another payload": change(headerSize, 'P'), "a length beyond all": change(116, 0xff),
	} {
		if _, err := decode(bad); err == nil {
			t.Errorf("%s is a message", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(newMessage(typeInput, 3, payloadData, []byte("x")).encode(time.Now()))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := decode(content)
		if err != nil {
			return
		}
		if again, err := decode(m.encode(time.Now())); err != nil || again.sequence != m.sequence || !bytes.Equal(again.payload, m.payload) {
			t.Errorf("%v: %+v", err, m)
		}
	})
}
