package protocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

const vectorFile = "../../tests/vectors/protocol.json"

type parseVector struct {
	Name    string
	Body    *string
	BodyHex string `json:"body_hex"`
	Request *struct {
		Op         string
		ID         *string
		Texts      []string
		Single     bool
		DeadlineMS *int64 `json:"deadline_ms"`
	}
	Error *struct {
		Code   Code
		ID     *string
		Offset *int
	}
}

type encodeVector struct {
	Name    string
	Kind    string
	ID      *string
	Single  bool
	Results []struct {
		Label                string
		Score                float64
		Uncertain, Truncated bool
	}
	Code         Code
	Message      string
	Hint         string
	RetryAfterMS *int64 `json:"retry_after_ms"`
	Payload      string
	Reply        string
}

func vectors(tb testing.TB) (parse []parseVector, encode []encodeVector) {
	tb.Helper()
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		tb.Fatal(err)
	}
	var file struct {
		Parse  []parseVector
		Encode []encodeVector
	}
	if err := json.Unmarshal(text, &file); err != nil {
		tb.Fatal(err)
	}
	if len(file.Parse) < 100 || len(file.Encode) < 20 {
		tb.Fatalf("%s holds %d and %d vectors", vectorFile, len(file.Parse), len(file.Encode))
	}
	return file.Parse, file.Encode
}

func (v *parseVector) body(tb testing.TB) []byte {
	if v.Body != nil {
		return []byte(*v.Body)
	}
	body, err := hex.DecodeString(v.BodyHex)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func token(id *string) string {
	if id == nil {
		return ""
	}
	return *id
}

func TestParseVectors(t *testing.T) {
	parse, _ := vectors(t)
	var r Request // reused, as the daemon does
	for _, v := range parse {
		t.Run(v.Name, func(t *testing.T) {
			fault := r.Parse(v.body(t))
			if v.Error != nil {
				v.checkError(t, fault, &r)
				return
			}
			if fault != nil {
				t.Fatal(fault)
			}
			want := v.Request
			deadline := int64(0)
			if want.DeadlineMS != nil {
				deadline = *want.DeadlineMS
			}
			if r.Op.String() != want.Op || string(r.ID) != token(want.ID) || r.Single != want.Single || r.DeadlineMS != deadline {
				t.Errorf("got %+v, want %+v", r, want)
			}
			if len(r.Texts) != len(want.Texts) {
				t.Fatalf("%d texts, want %d", len(r.Texts), len(want.Texts))
			}
			for i, text := range r.Texts {
				if string(text) != want.Texts[i] {
					t.Errorf("text %d: %q, want %q", i, text, want.Texts[i])
				}
			}
		})
	}
}

func (v *parseVector) checkError(t *testing.T, fault *Error, r *Request) {
	if fault == nil || fault.Code != v.Error.Code {
		t.Fatalf("got %v, want %s", fault, v.Error.Code)
	}
	if fault.Message == "" || fault.Hint == "" {
		t.Errorf("no message or hint: %+v", fault)
	}
	if string(r.ID) != token(v.Error.ID) {
		t.Errorf("id %q, want %q", r.ID, token(v.Error.ID))
	}
	if len(r.Texts) != 0 {
		t.Errorf("texts left: %q", r.Texts)
	}
	if at := v.Error.Offset; at != nil && !strings.Contains(fault.Message, fmt.Sprintf("byte %d ", *at)) {
		t.Errorf("%q does not name byte %d", fault.Message, *at)
	}
}

func TestEncodeVectors(t *testing.T) {
	_, encode := vectors(t)
	for _, v := range encode {
		t.Run(v.Name, func(t *testing.T) {
			id := []byte(token(v.ID))
			var got []byte
			switch v.Kind {
			case "classify":
				var results []Result
				for _, r := range v.Results {
					results = append(results, Result(r))
				}
				got = AppendResults(nil, id, v.Single, results)
			case "error":
				e := &Error{Code: v.Code, Message: v.Message, Hint: v.Hint}
				if v.RetryAfterMS != nil {
					e.RetryAfterMS = *v.RetryAfterMS
				}
				got = AppendError(nil, id, e)
			default:
				for op := OpStats; op <= OpInfo; op++ {
					if op.String() == v.Kind {
						got = AppendObject(nil, id, op, []byte(v.Payload))
					}
				}
			}
			if string(got) != v.Reply {
				t.Errorf("got  %s\nwant %s", got, v.Reply)
			}
			if !json.Valid(got) {
				t.Error("not valid JSON")
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	parse, _ := vectors(f)
	for _, v := range parse {
		f.Add(v.body(f))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Request
		reference := json.Valid(body) && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
		fault := r.Parse(bytes.Clone(body))
		if fault == nil && !reference {
			t.Fatalf("accepted what is no JSON object: %q", body)
		}
		if fault != nil && fault.Code != BadRequest {
			t.Fatalf("code %s", fault.Code)
		}
		if !json.Valid(AppendError(nil, r.ID, &Error{Code: BadRequest, Message: string(body), Hint: "x"})) {
			t.Fatalf("the error reply is no JSON for %q", body)
		}
		if fault == nil {
			checkAgainstStandardLibrary(t, body, &r)
		}
	})
}

// checkAgainstStandardLibrary holds a parsed request against encoding/json.
func checkAgainstStandardLibrary(t *testing.T, body []byte, r *Request) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	var want []string
	if r.Op == OpClassify && r.Single {
		want = []string{""}
		if err := json.Unmarshal(fields["text"], &want[0]); err != nil {
			t.Fatal(err)
		}
	} else if r.Op == OpClassify {
		if err := json.Unmarshal(fields["texts"], &want); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) != len(r.Texts) {
		t.Fatalf("%d texts, want %d in %q", len(r.Texts), len(want), body)
	}
	for i := range want {
		if want[i] != string(r.Texts[i]) {
			t.Fatalf("text %d is %q, want %q", i, r.Texts[i], want[i])
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	var r Request
	body := []byte(`{"id":"42","texts":["Bright cherry, long finish.","Flat \"and\" dull."],"deadline_ms":50}`)
	scratch := bytes.Clone(body)
	reply := make([]byte, 0, 4096)
	results := []Result{{Label: "positive", Score: 0.9}, {Label: "negative", Score: 0.8, Uncertain: true}}
	allocations := testing.AllocsPerRun(100, func() {
		copy(scratch, body)
		if r.Parse(scratch) != nil {
			t.Fatal("refused")
		}
		reply = AppendResults(reply[:0], r.ID, r.Single, results)
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(`{"id":"42","text":"` + strings.Repeat("Bright cherry, long finish. ", 8) + `"}`)
	scratch := bytes.Clone(body)
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		copy(scratch, body)
		if r.Parse(scratch) != nil {
			b.Fatal("refused")
		}
	}
}
