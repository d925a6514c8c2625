// Checks checkpoints and proofs of gigaledger with Go's packages for transparency logs.
//
// Reads a JSON object from standard input. Prints the number of checkpoints, inclusion proofs and
// consistency proofs, or exits with an error that names the first failed check.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Size, Index int64
	Leaf        []byte
	Hashes      [][]byte
}

type consistency struct {
	First, Second int64
	Hashes        [][]byte
}

type book struct {
	Key         string
	Checkpoints []string
	Inclusion   []inclusion
	Consistency []consistency
}

func main() {
	var given book
	check("input", json.NewDecoder(os.Stdin).Decode(&given))
	verifier, err := note.NewVerifier(given.Key)
	check("key", err)
	roots := map[int64]tlog.Hash{}
	for _, text := range given.Checkpoints {
		opened, err := note.Open([]byte(text), note.VerifierList(verifier))
		check("checkpoint", err)
		lines := strings.Split(opened.Text, "\n")
		size, err := strconv.ParseInt(lines[1], 10, 64)
		check("size", err)
		roots[size], err = tlog.ParseHash(lines[2])
		check("root", err)
	}
	for _, one := range given.Inclusion {
		check(fmt.Sprintf("inclusion of %d in %d", one.Index, one.Size), tlog.CheckRecord(
			proof(one.Hashes), one.Size, roots[one.Size], one.Index, tlog.RecordHash(one.Leaf)))
	}
	for _, one := range given.Consistency {
		check(fmt.Sprintf("consistency of %d and %d", one.First, one.Second), tlog.CheckTree(
			proof(one.Hashes), one.Second, roots[one.Second], one.First, roots[one.First]))
	}
	fmt.Println(len(given.Checkpoints), len(given.Inclusion), len(given.Consistency))
}

func proof(hashes [][]byte) []tlog.Hash {
	made := make([]tlog.Hash, len(hashes))
	for i, hash := range hashes {
		copy(made[i][:], hash)
	}
	return made
}

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}
