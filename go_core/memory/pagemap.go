package memory

import (
	"encoding/binary"
	"io"
)

// residentBytes counts the pages of r that are in memory, by /proc/self/pagemap: one little-endian 64-bit word a page, bit
// 63 set when it is present (Documentation/admin-guide/mm/pagemap.rst; the page's own number, which needs privilege, is
// not used). scratch is working space of any multiple of 8 bytes.
func residentBytes(pagemap io.ReaderAt, r Range, scratch []byte) (uint64, error) {
	first, last := r.Start/pageSize, (r.End+pageSize-1)/pageSize
	var present uint64
	for first < last {
		chunk := scratch[:min(uint64(len(scratch)/8), last-first)*8]
		n, err := pagemap.ReadAt(chunk, int64(first*8))
		if n < 8 {
			if err == nil {
				err = io.ErrNoProgress
			}
			return 0, err
		}
		for i := 0; i+8 <= n; i += 8 {
			present += binary.LittleEndian.Uint64(chunk[i:]) >> 63
		}
		first += uint64(n / 8)
	}
	return present * pageSize, nil
}
