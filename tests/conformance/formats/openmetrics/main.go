// Reads metrics as Prometheus does when it scrapes them: the text on standard input, its Content-Type as the argument. Prints the number of
// families and of series. Fails if Prometheus' parser does, and if a series has no family with a type and a text.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func main() {
	log.SetFlags(0)
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	parser, err := textparse.New(text, os.Args[1], labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		log.Fatal(err)
	}
	families := map[string]bool{}
	types, helps := map[string]bool{}, map[string]bool{}
	seen := map[string]bool{}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		switch entry {
		case textparse.EntryType:
			name, _ := parser.Type()
			if types[string(name)] {
				log.Fatalf("%s: a second type", name)
			}
			types[string(name)] = true
		case textparse.EntryHelp:
			name, help := parser.Help()
			helps[string(name)] = len(help) > 0
		case textparse.EntrySeries:
			var series labels.Labels
			parser.Labels(&series)
			var last exemplar.Exemplar
			for parser.Exemplar(&last) {
			}
			if seen[series.String()] {
				log.Fatalf("%s: a second sample", series)
			}
			seen[series.String()] = true
			name := series.Get(labels.MetricName)
			for _, suffix := range []string{"_total", "_bucket", "_sum", "_count", "_info", "_created"} {
				if family, found := strings.CutSuffix(name, suffix); found && types[family] {
					name = family
					break
				}
			}
			if !types[name] || !helps[name] {
				log.Fatalf("%s: no type or no text", series)
			}
			families[name] = true
		}
	}
	fmt.Println(len(families), len(seen))
}
