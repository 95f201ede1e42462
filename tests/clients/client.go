// Command client scores each argument with edged, all of them at once, and prints label and score.
//
//	go run client.go ipc:///run/edged/edged.sock "Bright cherry, long finish."
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	zmq "github.com/pebbe/zmq4"
)

type request struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

type reply struct {
	ID    int
	Label string
	Score float64
	Error *struct{ Code, Message, Hint string }
}

func main() {
	endpoint, texts := os.Args[1], os.Args[2:]
	socket := must(zmq.NewSocket(zmq.DEALER))
	check(socket.SetRcvtimeo(10 * time.Second))
	check(socket.Connect(endpoint))
	for i, text := range texts {
		must(socket.SendBytes(must(json.Marshal(request{i, text})), 0))
	}
	replies := make([]reply, len(texts)) // they may overtake one another: the id says which is whose
	for range texts {
		var r reply
		check(json.Unmarshal(must(socket.RecvBytes(0)), &r))
		replies[r.ID] = r
	}
	for _, r := range replies {
		if r.Error != nil {
			fmt.Println(r.Error.Hint)
			continue
		}
		fmt.Printf("%s\t%.4f\n", r.Label, r.Score)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
