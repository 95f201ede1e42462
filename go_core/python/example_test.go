package python_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"edged/python"
)

const shout = `
def process_batch(texts):
    return [("loud" if text.isupper() else "calm", 1.0) for text in texts]
`

// A Python file with a function process_batch, called from Go: through MetaCall where it is installed, else through CPython.
// Embed: "metacall" would insist.
func Example() {
	project, _ := filepath.Abs("../..")
	h, err := python.Open(python.Options{Embed: "auto", Path: []string{project}})
	if err != nil {
		log.Fatal(err)
	}
	folder, _ := os.MkdirTemp("", "shout")
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "shout.py")
	if err := os.WriteFile(file, []byte(shout), 0o600); err != nil {
		log.Fatal(err)
	}

	options, _ := json.Marshal(map[string]string{"handler": file})
	description, err := h.Load(options)
	if err != nil {
		log.Fatal(err)
	}
	var handler struct{ Handle uint16 }
	if err := json.Unmarshal(description, &handler); err != nil {
		log.Fatal(err)
	}

	thread, err := h.Attach() // once; then calls are cheap
	if err != nil {
		log.Fatal(err)
	}
	reply, err := thread.ProcessBatch(pack(handler.Handle, "STOP", "please"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(unpack(reply)...)
	_ = thread.Detach()
	if err := h.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: loud calm
}

// pack makes a record of texts; edged/embedded/record.py states the format byte by byte.
func pack(handle uint16, texts ...string) []byte {
	record := binary.LittleEndian.AppendUint16([]byte{1, 2}, handle)
	record = binary.LittleEndian.AppendUint32(record, uint32(len(texts)))
	record = binary.LittleEndian.AppendUint32(record, 0)
	var bytes []byte
	for _, text := range texts {
		bytes = append(bytes, text...)
		record = binary.LittleEndian.AppendUint32(record, uint32(len(bytes)))
	}
	return append(record, bytes...)
}

// unpack gives the label of each text.
func unpack(reply []byte) (labels []any) {
	n := int(binary.LittleEndian.Uint32(reply[4:]))
	table := make([]string, binary.LittleEndian.Uint16(reply[2:]))
	rest := reply[8:]
	for i := range table {
		length := binary.LittleEndian.Uint16(rest)
		table[i], rest = string(rest[2:2+length]), rest[2+length:]
	}
	for i := range n {
		labels = append(labels, table[binary.LittleEndian.Uint16(rest[4*n+2*i:])])
	}
	return labels
}
