package features

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// Layouts of 150,000 keys, each looking up the 120 n-grams of a wine-length
// review, half of them kept: microseconds against megabytes.
func BenchmarkLayouts(b *testing.B) {
	const count, lookups = 150_000, 120
	r := rand.New(rand.NewPCG(1, 2))
	keys := make([]uint64, count)
	for i := range keys {
		keys[i] = r.Uint64()
	}
	slices.Sort(keys)
	asked := make([]uint64, 64*lookups)
	for i := range asked {
		asked[i] = r.Uint64()
		if i%2 == 0 {
			asked[i] = keys[r.IntN(count)]
		}
	}
	for _, layout := range []struct {
		name string
		make func([]uint64) (ranks func(keys []uint64, found []int32), size int)
	}{
		{"bucketed", bucketed}, {"binary-search", searched}, {"open-addressing", addressed},
	} {
		b.Run(layout.name, func(b *testing.B) {
			ranks, size := layout.make(keys)
			var found [lookups]int32
			for i := 0; b.Loop(); i++ {
				ranks(asked[i%64*lookups:][:lookups], found[:])
			}
			hits := 0
			for _, rank := range found {
				if rank >= 0 {
					hits++
				}
			}
			if hits < lookups/2 {
				b.Fatalf("%d of %d keys were found, half of them are kept", hits, lookups)
			}
			b.ReportMetric(float64(size)/1e6, "MB")
		})
	}
}

func each(rank func(uint64) int32) func(keys []uint64, found []int32) {
	return func(keys []uint64, found []int32) {
		for i, key := range keys {
			found[i] = rank(key)
		}
	}
}

func bucketed(keys []uint64) (func([]uint64, []int32), int) {
	const bits = 15
	first := make([]uint32, 1<<bits+1)
	var rest []uint16
	for _, key := range keys {
		first[key>>(64-bits)+1]++
		rest = append(rest, uint16(key>>(64-bits-restBits)))
	}
	data := binary.LittleEndian.AppendUint32(nil, uint32(len(keys)))
	data = binary.LittleEndian.AppendUint32(data, bits)
	for i := range first {
		if i > 0 {
			first[i] += first[i-1]
		}
		data = binary.LittleEndian.AppendUint32(data, first[i])
	}
	for _, value := range rest {
		data = binary.LittleEndian.AppendUint16(data, value)
	}
	directory := headerSize + 4*len(first)
	x := index{first: data[headerSize:directory], rest: data[directory:], count: len(keys), shift: 64 - bits}
	var ends [256]uint64
	return func(keys []uint64, found []int32) { x.ranks(keys, ends[:len(keys)], found) }, len(data)
}

func searched(keys []uint64) (func([]uint64, []int32), int) {
	return each(func(key uint64) int32 {
		if i, found := slices.BinarySearch(keys, key); found {
			return int32(i)
		}
		return -1
	}), 8 * len(keys)
}

func addressed(keys []uint64) (func([]uint64, []int32), int) {
	const bits = 18
	prints, ranks := make([]uint32, 1<<bits), make([]int32, 1<<bits)
	for i, key := range keys {
		slot := key & (1<<bits - 1)
		for prints[slot] != 0 {
			slot = (slot + 1) & (1<<bits - 1)
		}
		prints[slot], ranks[slot] = uint32(key>>32)|1, int32(i)
	}
	return each(func(key uint64) int32 {
		for slot := key & (1<<bits - 1); prints[slot] != 0; slot = (slot + 1) & (1<<bits - 1) {
			if prints[slot] == uint32(key>>32)|1 {
				return ranks[slot]
			}
		}
		return -1
	}), 8 << bits
}
