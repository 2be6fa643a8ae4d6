// Reads manifests as kubectl does: with the decoder of its resource builder (StreamVisitor in k8s.io/cli-runtime), which splits a stream,
// and converts YAML with sigs.k8s.io/yaml. One JSON string a line on stdin, one answer a line on stdout: the documents up to the first
// error, and that error.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/util/yaml"
)

type answer struct {
	Documents []json.RawMessage `json:"documents"`
	Error     string            `json:"error,omitempty"`
}

func read(text string) (answer answer) {
	answer.Documents = []json.RawMessage{}
	// The size that cli-runtime gives.
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var document json.RawMessage
		if err := decoder.Decode(&document); err != nil {
			if !errors.Is(err, io.EOF) {
				answer.Error = err.Error()
			}
			return answer
		}
		document = bytes.TrimSpace(document)
		// StreamVisitor passes over these, too.
		if len(document) > 0 && !bytes.Equal(document, []byte("null")) {
			answer.Documents = append(answer.Documents, document)
		}
	}
}

func main() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for {
		var text string
		if err := in.Decode(&text); err != nil {
			if errors.Is(err, io.EOF) {
				return
			}
			log.Fatal(err)
		}
		if err := encoder.Encode(read(text)); err != nil {
			log.Fatal(err)
		}
		if err := out.Flush(); err != nil {
			log.Fatal(err)
		}
	}
}
